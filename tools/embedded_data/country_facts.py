"""Which countries are asked about, and the facts that the packages leave open."""

from __future__ import annotations

from .stems import word_set

SOVEREIGN = word_set(
    """
    AF AL DZ AD AO AG AR AM AU AT AZ BS BH BD BB BY BE BZ BJ BT BO BA BW BR BN BG BF BI CV KH CM CA CF TD CL CN CO KM
    CG CD CR CI HR CU CY CZ DK DJ DM DO EC EG SV GQ ER EE SZ ET FJ FI FR GA GM GE DE GH GR GD GT GN GW GY HT HN HU IS
    IN ID IR IQ IE IL IT JM JP JO KZ KE KI KP KR KW KG LA LV LB LS LR LY LI LT LU MG MW MY MV ML MT MH MR MU MX FM MD
    MC MN ME MA MZ MM NA NR NP NL NZ NI NE NG MK NO OM PK PW PA PG PY PE PH PL PT QA RO RU RW KN LC VC WS SM ST SA SN
    RS SC SL SG SK SI SB SO ZA SS ES LK SD SR SE CH SY TJ TZ TH TL TG TO TT TN TR TM TV UG UA AE GB US UY UZ VU VE VN
    YE ZM ZW
    """
)
"""The 193 members of the United Nations, by ISO 3166 code."""

FLAG_IN_DISPUTE = frozenset({"AF", "SY"})
"""Two flags are in use, or the package's is no longer the one in use."""

SEVERAL_CAPITALS = word_set("BJ BI BO CH CI CL GQ ID IL KZ LK ME MM MY NL NR SZ TZ YE ZA")
"""More than one capital, a moved or renamed one, or one in dispute: not asked for its capital."""

SEVERAL_CONTINENTS = word_set("AM AZ CY EG GE ID KZ PA RU TL TR TT")

SEVERAL_CURRENCIES = word_set("BA BG BT CU HR KH KP LB LS MR PA SL SV ST TL VE ZM ZW")
"""More than one currency in use, or a change of currency that the packages may not know."""

CONTINENTS = {
    "AF": "Africa",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
}

LANGUAGES = {
    "am": "Amharic", "ar": "Arabic", "ay": "Aymara", "az": "Azerbaijani", "be": "Belarusian", "bg": "Bulgarian",
    "bn": "Bengali", "bs": "Bosnian", "ca": "Catalan", "cnr": "Montenegrin", "cs": "Czech", "da": "Danish",
    "de": "German", "dv": "Dhivehi", "dz": "Dzongkha", "el": "Greek", "en": "English", "es": "Spanish",
    "et": "Estonian", "fa": "Persian", "fi": "Finnish", "fil": "Filipino", "fj": "Fijian", "fr": "French",
    "ga": "Irish", "gn": "Guarani", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "ht": "Haitian Creole",
    "hu": "Hungarian", "hy": "Armenian", "id": "Indonesian", "is": "Icelandic", "it": "Italian", "ja": "Japanese",
    "ka": "Georgian", "kk": "Kazakh", "km": "Khmer", "ko": "Korean", "ku": "Kurdish", "ky": "Kyrgyz",
    "lb": "Luxembourgish", "lo": "Lao", "lt": "Lithuanian", "lv": "Latvian", "mg": "Malagasy", "mh": "Marshallese",
    "mk": "Macedonian", "mn": "Mongolian", "ms": "Malay", "mt": "Maltese", "my": "Burmese", "na": "Nauruan",
    "ne": "Nepali", "nl": "Dutch", "no": "Norwegian", "ny": "Chichewa", "pl": "Polish", "ps": "Pashto",
    "pt": "Portuguese", "qu": "Quechua", "rm": "Romansh", "rn": "Kirundi", "ro": "Romanian", "ru": "Russian",
    "rw": "Kinyarwanda", "sg": "Sango", "si": "Sinhala", "sk": "Slovak", "sl": "Slovene", "sm": "Samoan",
    "so": "Somali", "sq": "Albanian", "sr": "Serbian", "ss": "Swati", "st": "Sotho", "sv": "Swedish",
    "sw": "Swahili", "ta": "Tamil", "tet": "Tetum", "tg": "Tajik", "th": "Thai", "ti": "Tigrinya", "tk": "Turkmen",
    "tn": "Tswana", "to": "Tongan", "tr": "Turkish", "tvl": "Tuvaluan", "uk": "Ukrainian", "ur": "Urdu",
    "uz": "Uzbek", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
"""English names of language codes. A country with a listed language that isn't here isn't asked for its language."""

NOT_SPOKEN = frozenset({("QA", "es")})
"""Entries of the packages that are wrong, by country and language code."""

WORLD_LANGUAGES = frozenset({"Arabic", "Chinese", "English", "French", "German", "Italian", "Russian", "Spanish"})
"""Spoken in so many countries that they are no safe wrong answer where the packages don't list them."""
