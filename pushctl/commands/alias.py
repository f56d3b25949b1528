"""Sign an alias, or verify the signature that a shop's server made."""

import json
from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.errors import InputError
from pushctl.jobs.ingest import aliases

app = typer.Typer(no_args_is_help=True, help="Sign a customer's id, or verify a signature.")

AliasArgument = Annotated[str, typer.Argument(help="Your shop's id of a person.")]


@app.command()
def sign(ctx: typer.Context, alias: AliasArgument) -> None:
    """
    Sign an alias, as your shop's server does.

    \b
    pushctl alias sign customer-7

    Compare it with your server's signature, or try it in the console of a page: the call of
    identify is shown too. A signature is valid for ever, so show it to nobody else.
    """
    signature = aliases.sign(context.of(ctx).config, alias)
    output.answer(signature)
    words = ", ".join(json.dumps(each, ensure_ascii=False) for each in (alias, signature))
    output.say(f"On a page: pushctl.identify({words})")


@app.command()
def verify(
    ctx: typer.Context,
    alias: AliasArgument,
    signature: Annotated[str, typer.Argument(help="What your server made of it.")],
) -> None:
    """
    Verify a signature that your shop's server made.

    \b
    pushctl alias verify customer-7 zwkLXgmi2MSBNb6WF2jvaQhE1ZVG0VIZWNjQSEwhh1I

    A wrong one ends with exit code 2, and with the mistake, if it is a usual one.
    """
    fault = aliases.find_fault(context.of(ctx).config, alias, signature)
    if fault:
        raise InputError(
            f"the signature of {alias!r} is wrong: {fault}. See docs/embedding.md, "
            "or compare it with `pushctl alias sign`."
        )
    output.answer("The signature is right.")
