"""The names of all commands, in the order of the help; their modules load when they run."""

from typing import NamedTuple


class Command(NamedTuple):
    module: str  # with ``app`` (a noun) or ``command`` (a verb)
    help: str  # the first line of its help


COMMANDS = {
    "init": Command("pushctl.commands.init", "Create a project: settings, keys, database."),
    "check": Command("pushctl.commands.check", "Check the project and list every problem."),
    "keys": Command("pushctl.commands.keys", "Show, create, choose and retire VAPID keys."),
    "receive": Command("pushctl.commands.receive", "Run the web receiver."),
    "sw": Command("pushctl.commands.sw", "Show the scripts for your pages."),
    "import": Command("pushctl.commands.import_", "Load the inbox into the database."),
    "subscribers": Command("pushctl.commands.subscribers", "List, import, tag, erase people."),
    "events": Command("pushctl.commands.events", "Import purchases and other events."),
    "alias": Command("pushctl.commands.alias", "Sign a customer's id, or verify a signature."),
    "tags": Command("pushctl.commands.tags", "List tags and count their subscribers."),
    "segments": Command("pushctl.commands.segments", "List and count saved audiences."),
    "templates": Command(
        "pushctl.commands.templates", "Make, preview and check message templates."
    ),
    "promo": Command("pushctl.commands.promo", "Import, make and show promo codes."),
    "send": Command("pushctl.commands.send", "Send a message to an audience."),
    "send-test": Command(
        "pushctl.commands.send_test", "Send a real message to yourself, as a test."
    ),
    "approve": Command("pushctl.commands.approve", "Approve what somebody else asked for."),
    "apply": Command("pushctl.commands.apply", "Schedule what the files of campaigns/ say."),
    "ab": Command("pushctl.commands.ab", "List, show, stop and decide A/B tests."),
    "campaigns": Command("pushctl.commands.campaigns", "Show, pause and cancel campaigns."),
    "schedules": Command("pushctl.commands.schedules", "List and cancel scheduled messages."),
    "plan": Command("pushctl.commands.plan", "Show what goes out when, and what is missing."),
    "sweep": Command("pushctl.commands.sweep", "Do all due work. Cron runs it every minute."),
    "triggers": Command("pushctl.commands.triggers", "Show, pause and test triggers."),
    "holidays": Command("pushctl.commands.holidays", "List and confirm public holidays."),
    "consents": Command("pushctl.commands.consents", "List and revoke consents to channels."),
    "explain": Command("pushctl.commands.explain", "Tell who got what, when and why."),
    "leads": Command("pushctl.commands.leads", "List people who reached a step of a trigger."),
    "forecast": Command("pushctl.commands.forecast", "Forecast what a message will bring."),
    "replay": Command("pushctl.commands.replay", "Test triggers with past events."),
    "catalogue": Command("pushctl.commands.catalogue", "Import products: prices and stock."),
    "apikeys": Command("pushctl.commands.apikeys", "Create and revoke keys of the server API."),
    "api": Command("pushctl.commands.api", "Show what servers sent to the API."),
    "orders": Command("pushctl.commands.orders", "List and show orders."),
    "webhooks": Command("pushctl.commands.webhooks", "List, test and replay webhooks."),
    "alerts": Command("pushctl.commands.alerts", "List and test alerts."),
    "sources": Command(
        "pushctl.commands.sources", "List sources of webhooks; set their secrets."
    ),
    "cron": Command("pushctl.commands.cron", "Let cron run the sweep."),
    "service": Command("pushctl.commands.service", "Run receiver, sweep and watch by systemd."),
    "runs": Command("pushctl.commands.runs", "Show what sweeps, sends and imports did."),
    "in-doubt": Command("pushctl.commands.in_doubt", "List and resolve messages in doubt."),
    "backup": Command("pushctl.commands.backup", "Write an encrypted backup of everything."),
    "restore": Command("pushctl.commands.restore", "Restore a backup into a new folder."),
    "db": Command("pushctl.commands.db", "Check, prune and vacuum the database."),
    "release": Command("pushctl.commands.release", "Let a restored or moved project send."),
    "best-time": Command("pushctl.commands.best_time", "Show the best time to send."),
    "stats": Command("pushctl.commands.stats", "Count accepted, shown and clicked messages."),
    "sql": Command("pushctl.commands.sql", "Ask the database with one SELECT, read-only."),
    "dashboard": Command("pushctl.commands.dashboard", "Show the last week live in a browser."),
    "report": Command("pushctl.commands.report", "Write what it brought as one page."),
    "export": Command("pushctl.commands.export", "Write raw rows as CSV, JSON or Parquet."),
    "mcp": Command("pushctl.commands.mcp", "Answer an assistant: figures and plans."),
    "docs": Command("pushctl.commands.docs", "Read the documentation, without internet."),
    "completion": Command(
        "pushctl.commands.completion", "Complete commands and names in your shell."
    ),
    "demo": Command("pushctl.commands.demo", "Try everything on this computer."),
}
