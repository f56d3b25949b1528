"""Preview a message: as text, as platforms show it, as a page, as a picture."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption, Names, Text

if TYPE_CHECKING:
    from pushctl.jobs.messages.preview import Preview
    from pushctl.rules.messages.drawing import Drawing
    from pushctl.rules.messages.platforms import Platform

_PREVIEW = tuple(
    output.Column(key, key.capitalize())
    for key in (
        "template", "file", "language", "variant", "segment", "bytes", "title", "body", "url",
        "dir", "icon", "image", "badge", "actions", "thanks",
    )
)  # fmt: skip


Name = Annotated[str, typer.Argument(help="A template: a folder in templates/.")]
Subscriber = Annotated[
    Text, typer.Option("--for", help="Show it for this subscriber: an id or alias:NAME.")
]
Language = Annotated[Text, typer.Option(help="Show it in this language.")]
Languages = Annotated[
    Text, typer.Option(help="Show it in several: en,ar; or in all that it has: all.")
]
Variant = Annotated[Text, typer.Option(help="Show this variant of an A/B test.")]
Platforms = Annotated[
    Names,
    typer.Option("--platform", help="Draw only this one: windows-chrome, ios; repeatable."),
]
Html = Annotated[Path | None, typer.Option(help="Write a page to look at.")]
Png = Annotated[Path | None, typer.Option(help="Write a picture of that page.")]
Open = Annotated[bool, typer.Option("--open", help="Open the page in your browser.")]
Pictures = Annotated[
    Path | None, typer.Option(help="A folder with your site's files: its pictures are drawn.")
]


def preview(
    ctx: typer.Context,
    name: Name,
    subscriber: Subscriber = None,
    language: Language = None,
    languages: Languages = None,
    variant: Variant = None,
    platforms: Platforms = None,
    html: Html = None,
    png: Png = None,
    open_: Open = False,
    pictures: Pictures = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Show a message as browsers and phones show it.

    \b
    pushctl templates preview abandoned_basket_1 --for alias:customer-17
    pushctl templates preview abandoned_basket_1 --languages all --open

    Without --for, a value is shown by its name. Drawings follow published measurements,
    which disagree: what "may be cut" is not certain. A page or picture has all languages
    and variants side by side, unless you choose.
    """
    from pushctl.jobs.messages import pictures as drawn

    here = context.of(ctx)
    chosen = drawn.choose_platforms(platforms or ())
    paged = bool(html or png or open_)
    made = _list_previews(here, name, subscriber, language, languages, variant, paged=paged)
    if paged:
        _write(here, made, chosen, html, png, pictures, open_=open_)
    else:
        _print(made, chosen if platforms else None, format, several=languages is not None)
    _warn_of_missing(here, name)


def _print(
    made: "Sequence[Preview]",
    chosen: "Sequence[Platform] | None",
    format: output.Format,
    *,
    several: bool,
) -> None:
    if format is output.Format.TABLE:
        for one in made:
            show(one)
            draw(one, chosen)
            _show_thanks(one)
    elif several:
        output.rows(map(_build_row, made), _PREVIEW, format)
    else:
        output.record(_build_row(made[0]), _PREVIEW, format)


def _list_previews(
    here: context.Context,
    name: str,
    subscriber: str | None,
    language: str | None,
    languages: str | None,
    variant: str | None,
    *,
    paged: bool,
) -> "Sequence[Preview]":
    """Return one preview, or several where they are asked for or a page is made."""
    from pushctl.jobs.messages import preview

    store = here.store if subscriber else None
    if languages is None and (language or not paged):
        one = preview.preview(
            here.config,
            store,
            name,
            here.now,
            subscriber=subscriber,
            language=language,
            variant=variant,
        )
        return [one]
    asked = [tag.strip() for tag in (languages or "all").split(",") if tag.strip()]
    return preview.preview_all(
        here.config,
        store,
        name,
        here.now,
        languages=() if asked == ["all"] else asked,
        variant=variant,
        subscriber=subscriber,
    )


def _write(
    here: context.Context,
    made: "Sequence[Preview]",
    chosen: "Sequence[Platform]",
    html: Path | None,
    png: Path | None,
    pictures: Path | None,
    *,
    open_: bool,
) -> None:
    """Write the page, and the picture of it; open the page where that was asked for."""
    from pushctl.jobs.messages import pictures as drawn

    page = drawn.make_page(here.config, made, chosen, pictures)
    if png:
        sheets = drawn.make_sheets(here.config, made, chosen, pictures)
        output.say(f"Wrote {drawn.write(png, drawn.draw_png(made[0].template, sheets))}")
    if html:
        output.say(f"Wrote {drawn.write(html, page)}")
    if open_:
        import webbrowser

        file = html.absolute() if html else drawn.write_temporary(made[0].template, page)
        if not webbrowser.open(file.as_uri()):
            output.say(f"No browser could be opened here. The page: {file}")


def show(made: "Preview") -> None:
    """Print a message in a frame, with its links and its size below."""
    message = made.message
    buttons = "   ".join(f"[ {action.title} ]" for action in message.actions)
    text = "\n".join([message.title, "", message.body, *(["", buttons] if buttons else [])])
    rtl = message.dir == "rtl"
    output.panel(text, f"{made.template}/{made.file}", stdout=True, right_to_left=rtl)
    links = [("opens", message.url), ("icon", message.icon), ("image", message.image)]
    links += [(action.action, action.url) for action in message.actions]
    for what, url in links:
        if url:
            output.answer(f"  {what}: {url}")
    output.answer(f"  {made.language}, {message.dir}, {made.bytes:,} of 3,993 bytes")
    if made.warning:
        output.warn(made.warning)


def _show_thanks(made: "Preview") -> None:
    """Print what who has bought meanwhile sees in its place, where that is something else."""
    from pushctl.rules.messages import drawing, payload

    if thanks := payload.find_thanks(made.message):
        text = f"{thanks.title}\n\n{thanks.body}"
        rtl = thanks.dir == "rtl"
        output.panel(text, drawing.MEANWHILE, stdout=True, right_to_left=rtl)
        output.answer(f"  opens: {thanks.url}")


def draw(made: "Preview", chosen: "Sequence[Platform] | None" = None) -> None:
    """Print how platforms show a message, in frames on a terminal; None: the usual ones."""
    from pushctl.rules.messages import drawing

    platforms = drawing.choose(drawing.USUAL) if chosen is None else chosen
    made_of = [it for it in drawing.draw(made.message, platforms) if not it.thanks]
    frames = [
        _make_frame(platform, [one for one in made_of if one.platform is platform])
        for platform in platforms
    ]
    output.frames(frames, right_to_left=made.message.dir == "rtl")


def _make_frame(platform: "Platform", drawings: "Sequence[Drawing]") -> output.Frame:
    """Return the frame of one platform: as it arrives, and what opening it adds."""
    first, *others = drawings
    lines = _list_texts(first) + _list_extras(first)
    for one in others:
        texts = [] if one.body.text == first.body.text else _list_texts(one)
        extras = _list_extras(one)
        if texts or extras:
            lines += [("opened:", "dim"), *texts, *extras]
    notes: list[output.Line] = [
        (note, "yellow" if "may be cut" in note else "dim")
        for note in dict.fromkeys(note for one in drawings for note in one.notes)
    ]
    notes.append((f"Drawn, not photographed: {platform.credits}", "dim"))
    return output.Frame(platform.name, lines, notes)


def _list_texts(one: "Drawing") -> list[output.Line]:
    return [(one.title.text, "bold"), *((text, None) for text in one.body.text.split("\n"))]


def _list_extras(one: "Drawing") -> list[output.Line]:
    """Return the lines of picture and buttons, as far as this view has them."""
    lines: list[output.Line] = []
    if one.picture:
        lines.append(("▒▒▒ large picture ▒▒▒", "dim"))
    if one.buttons:
        labels = "  ".join(f"[ {label.text} ]" for label in one.buttons)
        lines.append((f"Options: {labels}" if one.menu else labels, "cyan"))
    return lines


def _build_row(made: "Preview") -> dict[str, object]:
    from pushctl.rules.messages import payload

    found = payload.find_thanks(made.message)
    thanks = found and {"title": found.title, "body": found.body, "url": found.url}
    keys = ("action", "title", "url")
    actions = [{key: getattr(it, key) for key in keys} for it in made.message.actions]
    return asdict(made.message) | asdict(made) | {"actions": actions, "thanks": thanks}


def _warn_of_missing(here: context.Context, name: str) -> None:
    """Say how many people read a language that the template lacks."""
    from pushctl.jobs.messages import missing_languages, preview

    if here.config.database.exists():
        template = preview.load(here.config, name)
        for missing in missing_languages.find_missing(here.store, here.config, [template]).get(
            name, ()
        ):
            output.warn(f"{missing}: {name} has no text in {missing.reads}")
