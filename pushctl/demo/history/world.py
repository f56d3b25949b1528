"""The made-up world of a generated history: four sites, forty countries, their browsers."""

from typing import NamedTuple

LANGUAGES = ("en", "ar", "tr")


class Site(NamedTuple):
    name: str
    language: str
    timezone: str
    currency: str
    price: float  # the median order


SITES = (
    Site("shop", "en", "Europe/Berlin", "EUR", 45.0),
    Site("carsi", "tr", "Europe/Istanbul", "TRY", 900.0),
    Site("souk", "ar", "Asia/Riyadh", "SAR", 180.0),
    Site("store", "en", "America/New_York", "USD", 55.0),
)


class Country(NamedTuple):
    code: str
    weight: float  # of new subscribers
    language: str
    timezone: str
    site: int
    clicks: float  # over the mean
    cities: tuple[str, str, str]


# fmt: off
COUNTRIES = (
    Country("TR", 19.0, "tr-TR", "Europe/Istanbul", 1, 1.10, ("Istanbul", "Ankara", "Izmir")),
    Country("SA", 11.0, "ar-SA", "Asia/Riyadh", 2, 1.20, ("Riyadh", "Jeddah", "Dammam")),
    Country("US", 10.0, "en-US", "America/New_York", 3, 0.85, ("Chicago", "Dallas", "Austin")),
    Country("DE", 8.0, "de-DE", "Europe/Berlin", 0, 0.80, ("Berlin", "Hamburg", "Cologne")),
    Country("EG", 7.0, "ar-EG", "Africa/Cairo", 2, 1.25, ("Cairo", "Alexandria", "Giza")),
    Country("GB", 5.0, "en-GB", "Europe/London", 0, 0.90, ("London", "Leeds", "Bristol")),
    Country("AE", 4.0, "ar-AE", "Asia/Dubai", 2, 1.05, ("Dubai", "Abu Dhabi", "Sharjah")),
    Country("FR", 3.2, "fr-FR", "Europe/Paris", 0, 0.85, ("Paris", "Lyon", "Lille")),
    Country("NL", 2.8, "nl-NL", "Europe/Amsterdam", 0, 0.80, ("Amsterdam", "Utrecht", "Breda")),
    Country("CA", 2.5, "en-CA", "America/Toronto", 3, 0.90, ("Toronto", "Ottawa", "Montreal")),
    Country("IQ", 2.3, "ar-IQ", "Asia/Baghdad", 2, 1.30, ("Baghdad", "Basra", "Erbil")),
    Country("MA", 2.0, "ar-MA", "Africa/Casablanca", 2, 1.15, ("Casablanca", "Rabat", "Fez")),
    Country("JO", 1.8, "ar-JO", "Asia/Amman", 2, 1.10, ("Amman", "Zarqa", "Irbid")),
    Country("KW", 1.6, "ar-KW", "Asia/Kuwait", 2, 1.00, ("Kuwait City", "Hawalli", "Salmiya")),
    Country("QA", 1.4, "ar-QA", "Asia/Qatar", 2, 1.00, ("Doha", "Al Rayyan", "Al Wakrah")),
    Country("DZ", 1.4, "ar-DZ", "Africa/Algiers", 2, 1.20, ("Algiers", "Oran", "Annaba")),
    Country("AT", 1.2, "de-AT", "Europe/Vienna", 0, 0.80, ("Vienna", "Graz", "Linz")),
    Country("BE", 1.2, "nl-BE", "Europe/Brussels", 0, 0.80, ("Brussels", "Ghent", "Liege")),
    Country("AU", 1.2, "en-AU", "Australia/Sydney", 3, 0.90, ("Sydney", "Perth", "Hobart")),
    Country("ES", 1.1, "es-ES", "Europe/Madrid", 0, 0.95, ("Madrid", "Seville", "Bilbao")),
    Country("IT", 1.1, "it-IT", "Europe/Rome", 0, 0.95, ("Rome", "Milan", "Turin")),
    Country("OM", 1.0, "ar-OM", "Asia/Muscat", 2, 1.05, ("Muscat", "Salalah", "Sohar")),
    Country("BH", 0.9, "ar-BH", "Asia/Bahrain", 2, 1.00, ("Manama", "Muharraq", "Riffa")),
    Country("TN", 0.9, "ar-TN", "Africa/Tunis", 2, 1.15, ("Tunis", "Sfax", "Sousse")),
    Country("AZ", 0.9, "az-AZ", "Asia/Baku", 1, 1.05, ("Baku", "Ganja", "Sumqayit")),
    Country("LB", 0.8, "ar-LB", "Asia/Beirut", 2, 1.10, ("Beirut", "Tripoli", "Sidon")),
    Country("CH", 0.8, "de-CH", "Europe/Zurich", 0, 0.75, ("Zurich", "Geneva", "Basel")),
    Country("PL", 0.7, "pl-PL", "Europe/Warsaw", 0, 0.95, ("Warsaw", "Krakow", "Gdansk")),
    Country("SE", 0.6, "sv-SE", "Europe/Stockholm", 0, 0.80, ("Stockholm", "Malmo", "Uppsala")),
    Country("CY", 0.6, "tr-CY", "Asia/Nicosia", 1, 1.00, ("Nicosia", "Famagusta", "Kyrenia")),
    Country("IN", 0.6, "en-IN", "Asia/Kolkata", 3, 1.20, ("Mumbai", "Delhi", "Pune")),
    Country("BR", 0.5, "pt-BR", "America/Sao_Paulo", 3, 1.15, ("Sao Paulo", "Rio", "Recife")),
    Country("MX", 0.5, "es-MX", "America/Mexico_City", 3, 1.10, ("Puebla", "Leon", "Merida")),
    Country("IE", 0.4, "en-IE", "Europe/Dublin", 0, 0.90, ("Dublin", "Cork", "Galway")),
    Country("DK", 0.4, "da-DK", "Europe/Copenhagen", 0, 0.80, ("Odense", "Aarhus", "Aalborg")),
    Country("NO", 0.4, "nb-NO", "Europe/Oslo", 0, 0.80, ("Oslo", "Bergen", "Trondheim")),
    Country("GR", 0.4, "el-GR", "Europe/Athens", 0, 1.00, ("Athens", "Patras", "Volos")),
    Country("ZA", 0.3, "en-ZA", "Africa/Johannesburg", 3, 1.00, ("Durban", "Paarl", "Soweto")),
    Country("NZ", 0.3, "en-NZ", "Pacific/Auckland", 3, 0.90, ("Auckland", "Nelson", "Napier")),
    Country("JP", 0.2, "ja-JP", "Asia/Tokyo", 3, 0.70, ("Tokyo", "Osaka", "Kobe")),
)
# fmt: on


class Browser(NamedTuple):
    name: str
    os: str
    device: str
    weight: float
    shows: float  # the share of accepted messages that are shown and reported
    clicks: float  # over the mean
    stays: float  # the median of days until the browser drops its subscription
    host: str


_FCM, _MOZILLA = "fcm.googleapis.com/fcm/send", "updates.push.services.mozilla.com/wpush/v2"
_APPLE, _WNS = "web.push.apple.com", "db5p.notify.windows.com/w"
BROWSERS = (
    Browser("Chrome", "Android", "phone", 44.0, 0.72, 1.10, 700.0, _FCM),
    Browser("Chrome", "Windows", "desktop", 19.0, 0.58, 0.90, 800.0, _FCM),
    Browser("Safari", "iOS", "phone", 9.0, 0.80, 1.20, 500.0, _APPLE),
    Browser("Samsung Internet", "Android", "phone", 7.0, 0.70, 1.05, 600.0, _FCM),
    Browser("Edge", "Windows", "desktop", 6.0, 0.55, 0.75, 900.0, _WNS),
    Browser("Firefox", "Windows", "desktop", 4.0, 0.60, 0.80, 900.0, _MOZILLA),
    Browser("Safari", "macOS", "desktop", 3.5, 0.65, 0.95, 800.0, _APPLE),
    Browser("Chrome", "macOS", "desktop", 3.0, 0.60, 0.90, 800.0, _FCM),
    Browser("Firefox", "Android", "phone", 2.0, 0.66, 0.95, 600.0, _MOZILLA),
    Browser("Opera", "Android", "phone", 1.5, 0.64, 1.00, 500.0, _FCM),
    Browser("Chrome", "Linux", "desktop", 0.7, 0.55, 0.70, 900.0, _FCM),
    Browser("Chrome", "Android", "tablet", 0.3, 0.62, 0.90, 700.0, _FCM),
)

SOURCES = (None, "google", "instagram.com", "newsletter", "facebook.com", "partner")
SOURCE_WEIGHTS = (42.0, 27.0, 12.0, 9.0, 7.0, 3.0)
LANDINGS = ("/", "/lamps/", "/rugs/", "/sale/", "/blog/how-a-rug-is-woven", "/kitchen/")
LANDING_WEIGHTS = (38.0, 18.0, 15.0, 14.0, 9.0, 6.0)

# What people do, over the hours of their own day and the days of their week.
ACTIVE_HOURS = (
    1.2, 0.7, 0.4, 0.3, 0.3, 0.5, 1.2, 2.4, 3.6, 4.4, 4.8, 5.0,
    5.4, 5.2, 4.9, 4.8, 5.0, 5.4, 6.0, 7.0, 7.6, 6.8, 4.6, 2.5,
)  # fmt: skip
ACTIVE_WEEKDAYS = (1.0, 0.98, 0.97, 1.0, 1.04, 1.12, 1.15)

# Titles by language; those that ask, and those that say.
QUESTIONS = {
    "en": ("Seen our new lamps?", "Ready for the weekend?", "Looking for a gift?"),
    "ar": ("هل رأيت مصابيحنا الجديدة؟", "هل أنت مستعد؟", "تبحث عن هدية؟"),
    "tr": (
        "Yeni lambaları gördünüz mü?",
        "Hafta sonuna hazır mısınız?",
        "Hediye mi arıyorsunuz?",
    ),
}
STATEMENTS = {
    "en": ("New lamps are here", "A fifth off all rugs", "Free delivery until Sunday"),
    "ar": ("وصلت المصابيح الجديدة", "خصم على كل السجاد", "توصيل مجاني حتى الأحد"),
    "tr": ("Yeni lambalar geldi", "Tüm halılarda indirim", "Pazara kadar ücretsiz kargo"),
}
BODIES = {
    "en": "Only this week, while stocks last.",
    "ar": "هذا الأسبوع فقط حتى نفاد الكمية.",
    "tr": "Yalnızca bu hafta, stoklarla sınırlı.",
}
