"""Each section of pushctl.toml as a frozen value; checks are in the metadata of its fields."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushctl.config.baseline import BaselineConfig as BaselineConfig
from pushctl.config.best_time import BestTimeConfig as BestTimeConfig
from pushctl.config.cluster import ClusterConfig as ClusterConfig
from pushctl.config.figures import FiguresConfig, Goal
from pushctl.config.log import LogConfig as LogConfig
from pushctl.config.metrics import MetricsConfig as MetricsConfig
from pushctl.config.upkeep import BackupConfig, RetentionConfig
from pushctl.config.upkeep import SweepConfig as SweepConfig
from pushctl.errors import ConfigError
from pushctl.rules import limits
from pushctl.rules.config import checks, goals
from pushctl.rules.messages import lint
from pushctl.rules.shops import buy_links
from pushctl.rules.web import alerts, tag_rules, webhooks
from pushctl.rules.web.alerts import Alert
from pushctl.rules.web.tag_rules import TagRule
from pushctl.rules.web.webhooks import Webhook

if TYPE_CHECKING:
    from pushctl.rules.contact_policy import ContactPolicy

SECRET_BYTES = 32

# Browsers' push services (docs: wire facts). A leading dot: any subdomain.
# jmt17.google.com: Chromium builds without Google's keys.
DEFAULT_PUSH_HOSTS = (
    "fcm.googleapis.com",
    "jmt17.google.com",
    "updates.push.services.mozilla.com",
    ".push.services.mozilla.com",
    ".notify.windows.com",
    "web.push.apple.com",
    ".push.apple.com",
)


def _checked(default: Any, check: Callable[[Any], checks.Verdict]) -> Any:
    return field(default=default, metadata={"check": check})


@dataclass(frozen=True)
class Brand:
    """A site's look: of its notifications, where a template has no own, and its invitation."""

    name: str = ""
    icon: str | None = _checked(None, checks.url)
    badge: str | None = _checked(None, checks.url)
    # the large picture
    image: str | None = _checked(None, checks.url)
    # of buttons and rings in the invitation, and of what a preview draws in a picture's place
    color: str | None = _checked(None, checks.color)
    # of the invitation, in light and in dark
    background: str | None = _checked(None, checks.color)


@dataclass(frozen=True)
class Utm:
    """Parameters of links to the site and its checkouts; "{campaign}" stands for its name."""

    source: str | None = _checked(None, checks.parameter)
    medium: str | None = _checked(None, checks.parameter)
    campaign: str | None = _checked(None, checks.parameter)
    content: str | None = _checked(None, checks.parameter)
    term: str | None = _checked(None, checks.parameter)


@dataclass(frozen=True)
class TwoCheckout:
    """How links to a basket at 2Checkout's checkout are made, for ``restore_url``."""

    merchant: str = field(
        metadata={"check": checks.merchant, "remedy": 'Write merchant = "2COLNC"'}
    )
    # the source in [sources] that has the Buy Link Secret Word; none: the site's only one
    source: str | None = None
    # where the checkout leads to after a purchase
    return_url: str | None = _checked(None, checks.return_url)
    # whether products, quantities and the code are in the signature, too
    sign_products: bool = True
    # whether links without a signature are made where there is no secret word
    unsigned: bool = True


@dataclass(frozen=True)
class QuietConfig:
    """Hours of each person's day in which no message goes out."""

    hours: str = field(
        metadata={"check": checks.stretch, "remedy": 'Write hours = "21:00-08:00"'}
    )


@dataclass(frozen=True)
class HoldoutConfig:
    """The control group over all marketing; no table: there is none."""

    # of people; below 300,000 of them 0.1 to 0.2 are advised
    share: float = field(
        metadata={"check": checks.between(0.001, 0.5), "remedy": "Write share = 0.1"}
    )
    # with another name other people are in it
    name: str = _checked("marketing", checks.word)


@dataclass(frozen=True)
class SunsetConfig:
    """When a browser that shows no message gets fewer, then none; no table: never."""

    # so many messages within this time, none of them shown
    after: int = _checked(12, checks.between(3, 100))
    within: str = _checked("90d", checks.duration)
    # so many more, a month apart
    monthly: int = _checked(3, checks.between(0, 24))


@dataclass(frozen=True)
class ApprovalConfig:
    """When a second person has to agree; no table: never."""

    # messages of a topic a day that nobody else has looked at
    above: int = field(
        metadata={"check": checks.between(1, 1_000_000_000), "remedy": "Write above = 5000"}
    )
    # false: all topics are counted together
    per_topic: bool = True
    # a message with a time of its own goes out no later than so after it
    late: str = _checked("1h", checks.duration)
    # where requests and approvals are, for a group of people
    folder: Path = Path("approvals")
    # names of accounts; none: all in the folder's group
    approvers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Site:
    """One web origin with its own service worker."""

    name: str = field(metadata={"given": True})  # the key in [sites.NAME]
    # "https://shop.example", no path
    origin: str = field(
        metadata={"check": checks.origin, "remedy": 'Write origin = "https://shop.example"'}
    )
    language: str = _checked("en", checks.language)
    # all that its texts are written in, ``language`` among them; empty: that one alone
    languages: tuple[str, ...] = field(default=(), metadata={"each": checks.language})
    timezone: str = _checked("UTC", checks.timezone)
    # of subscribers whose country is not known, for holidays; none: they have none
    country: str | None = _checked(None, checks.country)
    # of prices that name none: "EUR"; none: their currency is unknown
    currency: str | None = _checked(None, checks.currency)
    brand: Brand = field(default_factory=Brand)
    utm: Utm = field(default_factory=Utm)
    twocheckout: TwoCheckout | None = None
    # in place of [quiet]
    quiet: QuietConfig | None = None
    # further origins allowed to post for this site
    origins: tuple[str, ...] = field(default=(), metadata={"each": checks.origin})
    # hosts where a basket may be picked up, besides the site's own
    checkout_origins: tuple[str, ...] = field(default=(), metadata={"each": checks.origin})
    # the app_id of programs that call OneSignal's addresses, besides the site's name
    onesignal_app_id: str | None = _checked(None, checks.app_id)

    @property
    def written_languages(self) -> tuple[str, ...]:
        """The languages that each of its templates should have, the default first."""
        return tuple(dict.fromkeys([self.language, *self.languages]))

    @property
    def checkouts(self) -> tuple[str, ...]:
        """All origins where a basket may be picked up, besides the site's own."""
        return (*self.checkout_origins, *([buy_links.ORIGIN] if self.twocheckout else []))


@dataclass(frozen=True)
class ReceiverConfig:
    # public URL, written into sw/
    url: str = _checked("", checks.receiver_url)
    listen: str = _checked("127.0.0.1:8750", checks.listen)
    # header a proxy sets, e.g. "CF-IPCountry"
    country_header: str | None = _checked(None, checks.header_name)
    # PEM files; both or none
    certificate: Path | None = None
    certificate_key: Path | None = None
    # their X-Forwarded-For is trusted; limits for one address do not apply to them
    trusted_proxies: tuple[str, ...] = field(
        default=("127.0.0.0/8", "::1"), metadata={"each": checks.network}
    )
    connections: int = _checked(2000, checks.between(10, 100_000))
    connections_per_address: int = _checked(100, checks.between(1, 100_000))
    # requests a second, ten seconds' worth at once; 0: no limit
    rate_per_address: float = _checked(20.0, checks.between(0, 1_000_000))
    rate_per_site: float = _checked(0.0, checks.between(0, 1_000_000))
    # of deliveries, for each source and address
    rate_per_source: float = _checked(200.0, checks.between(0, 1_000_000))
    # address for Prometheus; none: no metrics
    metrics: str | None = _checked(None, checks.listen)
    log: str = _checked("text", checks.log_form)
    # an MMDB file that knows countries or cities
    geoip: Path | None = None
    keep_address: bool = False


@dataclass(frozen=True)
class UnprovedConfig:
    """What subscribers to whom no message was ever shown may add; 0: no limit."""

    # new names of tags: of one address in a day, of all together at any time
    tag_names_per_address: int = _checked(200, checks.between(0, limits.MAX_TAG_NAMES))
    tag_names: int = _checked(2000, checks.between(0, limits.MAX_TAG_NAMES))
    # megabytes that the receiver writes for them in a day
    inbox_mb_per_address: float = _checked(10.0, checks.between(0, 1_000_000))
    inbox_mb: float = _checked(1000.0, checks.between(0, 1_000_000))


@dataclass(frozen=True)
class ApiConfig:
    """What one key of the server API may do; 0: no limit."""

    # a minute's worth of requests at once, ten seconds' worth of items
    requests_per_minute: float = _checked(1000.0, checks.between(0, 10_000_000))
    events_per_second: float = _checked(5000.0, checks.between(0, 10_000_000))
    # people that one message may reach before a person has to agree
    max_audience: int = _checked(1000, checks.between(0, 1_000_000_000))


@dataclass(frozen=True)
class LoopbackConfig:
    """Hosts redirected to this machine, for tests; every command that sends warns of them."""

    # "name[:port]" -> "127.0.0.1:port"
    hosts: Mapping[str, str] = field(default_factory=dict, metadata={"each": checks.loopback})
    ca: Path | None = None  # PEM of the throw-away CA


@dataclass(frozen=True)
class PushConfig:
    encoder: str = _checked("auto", checks.encoder)
    allowed_hosts: tuple[str, ...] = field(
        default=DEFAULT_PUSH_HOSTS, metadata={"each": checks.push_host}
    )
    # 0: one per core, two where services are far (jobs/delivery/pool)
    workers: int = _checked(0, checks.between(0, 256))
    # messages a second and origin; none: no limit
    rate: float | None = _checked(None, checks.positive)
    proxy: str | None = _checked(None, checks.proxy)
    # seconds for one request as a whole
    timeout: float = _checked(30.0, checks.between(1, 300))
    loopback: LoopbackConfig = field(default_factory=LoopbackConfig)


@dataclass(frozen=True)
class MessagesConfig:
    """What all messages have that say nothing else."""

    # what campaigns are about, in a word: figures are grouped by it
    topic: str | None = _checked(None, checks.topic)


@dataclass(frozen=True)
class LintConfig:
    """Which advice about texts is not wanted: see rules/messages/lint."""

    off: tuple[str, ...] = field(default=(), metadata={"each": lint.check_name})


@dataclass(frozen=True)
class Config:
    file: Path = field(metadata={"given": True})  # pushctl.toml itself
    # "mailto:..." or "https://...": the VAPID sub
    contact: str = field(
        metadata={
            "check": checks.contact,
            "remedy": 'Write contact = "mailto:you@shop.example"',
        }
    )
    sites: Mapping[str, Site] = field(
        metadata={
            "check": checks.sites,
            "each": checks.named,
            "remedy": "Write [sites.shop] and its origin below it.",
        }
    )
    database: Path = Path("pushctl.db")
    inbox: Path = Path("inbox")
    templates: Path = Path("templates")
    keys: Path = Path("keys")
    journal: Path = Path("journal")
    receiver: ReceiverConfig = field(default_factory=ReceiverConfig)
    unproved: UnprovedConfig = field(default_factory=UnprovedConfig)
    api: ApiConfig = field(default_factory=ApiConfig)
    push: PushConfig = field(default_factory=PushConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    segments: Mapping[str, str] = field(default_factory=dict, metadata={"each": checks.named})
    # name -> rules.triggers.Trigger, in the file's order
    triggers: Mapping[str, Any] = field(default_factory=dict)
    # name -> rules.shops.sources.Source
    sources: Mapping[str, Any] = field(default_factory=dict)
    tag_rules: tuple[TagRule, ...] = field(
        default=(), metadata={"check": tag_rules.few, "each": tag_rules.sensible}
    )
    webhooks: tuple[Webhook, ...] = field(
        default=(), metadata={"check": webhooks.are_different}
    )
    alerts: tuple[Alert, ...] = field(default=(), metadata={"check": alerts.are_sensible})
    messages: MessagesConfig = field(default_factory=MessagesConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)
    log: LogConfig = field(default_factory=LogConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    lint: LintConfig = field(default_factory=LintConfig)
    baseline: BaselineConfig = field(default_factory=BaselineConfig)
    # rules.triggers.Frequency, or None where the file has no [frequency]
    frequency: Any = None
    quiet: QuietConfig | None = None
    holdout: HoldoutConfig | None = None
    sunset: SunsetConfig | None = None
    approval: ApprovalConfig | None = None
    goals: Mapping[str, Goal] = field(
        default_factory=dict, metadata={"check": goals.few, "each": goals.sensible}
    )
    figures: FiguresConfig = field(default_factory=FiguresConfig)
    best_time: BestTimeConfig = field(default_factory=BestTimeConfig)
    backup: BackupConfig = field(default_factory=BackupConfig)
    retention: RetentionConfig = field(default_factory=RetentionConfig)

    @property
    def folder(self) -> Path:
        return self.file.parent

    @property
    def status(self) -> Path:
        """The folder of what imports publish for the receiver."""
        return self.folder / "status"

    @cached_property
    def contact_policy(self) -> "ContactPolicy":
        """What all marketing has in common: hours, frequency, who gets none."""
        from pushctl.rules import contact_policy, timing

        quiet = {name: site.quiet or self.quiet for name, site in self.sites.items()}
        hours = {name: timing.window(one.hours) for name, one in quiet.items() if one}
        holdout = sunset = None
        if (out := self.holdout) is not None:
            holdout = contact_policy.Holdout(out.share, out.name)
        if (rule := self.sunset) is not None:
            within = timing.duration(rule.within)
            sunset = contact_policy.Sunset(rule.after, within, rule.monthly)
        return contact_policy.ContactPolicy(self.frequency, hours, holdout, sunset)

    @property
    def first_site(self) -> Site:
        return next(iter(self.sites.values()))

    @property
    def zone(self) -> tzinfo:
        """The first site's time zone, in which --at and --every are read."""
        from pushctl.rules import timing

        return timing.zone(self.first_site.timezone)

    def secret(self) -> bytes:
        """Return the 32 bytes of keys/secret, the key of message tokens and topics."""
        file = self.keys / "secret"
        try:
            secret = file.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"{file} can't be read: {error.strerror}. Restore it from a backup. Or run "
                "`pushctl init` for a new one: reports of earlier messages are then lost."
            ) from error
        if len(secret) != SECRET_BYTES:
            raise ConfigError(
                f"{file} has {len(secret)} bytes, not {SECRET_BYTES}. Restore it from a backup."
            )
        return secret

    def email_secret(self) -> bytes | None:
        """Return the text of keys/email_secret (``tokens.hash_email``), None without one."""
        file = self.keys / "email_secret"
        return file.read_bytes().strip() if file.exists() else None
