"""Strings that have made tokenizers differ. Used by tokens.py only; the golden file repeats them."""
import random

TEXTS = [
    "", " ", "  ", "   ", "\t", "\n", "\r\n", "\n\n\n", " \n ", "\t\t x", "a  b   c    d", "  7", "a 7", "a  7", "a   77  ",
    "Hello, world!", "Hello world", " Hello", "hello ", "hello  ", "don't won't I'LL he'd they're we've I'm it's 'S 'Re",
    "'", "''", "'s", " 's", "can''t", "0", "12", "123", "1234", "12345", "1234567890", "3.14159", "1,000,000.00", "-42",
    "call +44 20 7946 0958 now", "4111 1111 1111 1111", "2024-02-29T23:59:60Z", "v1.2.3-rc4", "0x1F600", "1st 2nd 3rd 4th",
    "x=1;y=22;z=333", "a1b22c333d4444", "\u0661\u0662\u0663", "\u0967\u0968\u0969 \u0966", "\u00bd \u2153 \u2460 \u2167", "x\u00b2+y\u00b3",
    "\U0001d7d8\U0001d7d9", "\uff11\uff12\uff13", "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7",
    "\U0001f44d\U0001f3fd ok \U0001f44d", "\u2764\ufe0f\u2764", "smile\U0001f600smile", "caf\u00e9", "cafe\u0301", "\u00c5\u212b A\u030a", "na\u00efve fa\u00e7ade",
    "Stra\u00dfe STRASSE", "\u0130\u0131", "\u017f'\u017f", "\u01c5\u01c6", "\ufb01 \ufb02", "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!", "\u0393\u03b5\u03b9\u03b1 \u03c3\u03bf\u03c5",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002", "\u65e5\u672c\u8a9e\u30c6\u30b9\u30c8", "\ud55c\uad6d\uc5b4", "\u1112\u1161\u11ab", "\u0645\u0631\u062d\u0628\u0627", "\u05e9\u05dc\u05d5\u05dd", "\u0928\u092e\u0938\u094d\u0924\u0947",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "mixed\u4f60\u597dABC\u0434\u0430123", "\u202eabc\u202c", "a\u200bb", "a\u00a0b", "a\u00adb", "\ufeffBOM", "a\u2028b\u2029c", "a\u3000b", "\u2003 x",
    "\x00", "a\x00b", "\x01\x02\x03", "a\x04b", "\x07\x08\x0b\x0c", "\x1b[31mred\x1b[0m", "\x7f", "\x85x", "\ue000", "\U0010ffff", "\ufffd", "\ufffe\uffff",
    "a" * 300, "ab" * 150, "\u00e9" * 100, "1" * 100, " " * 100, "\n" * 50, "\t " * 30, "!" * 80, "-" * 33, "=" * 17, "\U0001f600" * 20, "\u0301" * 20,
    "pneumonoultramicroscopicsilicovolcanoconiosis", "Donaudampfschifffahrtselektrizit\u00e4tenhauptbetriebswerkbauunterbeamtengesellschaft",
    "snake_case camelCase PascalCase SCREAMING_CASE kebab-case", "http://example.com/a?b=c&d=%20#e", "john.doe+tag@example.co.uk",
    "C:\\Users\\x\\y", "/usr/local/bin", "{\"k\": [1, 2, {\"x\": null}]}", "<html><body class='x'></body></html>", "if (x<=3&&y!=4){z+=1;}",
    "def f(x):\n    return x + 1\n", "\tif x:\n\t\tpass", "a,b;c:d.e!f?g", "...", "\u2026", "\u201cquoted\u201d \u2018single\u2019", "\u2014 \u2013 -", "$5.00 \u20ac7 \u00a39 \u00a511", "50% off!!!",
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "a<|im_end|>b", "<|im_start|>user\nhi<|im_end|>\n", "<|im_end", "< |im_end|>", "<repo_name>", "<file_sep>x",
    "[EMAIL] called [PHONE]", "The device in room 12 reads 23.5 degrees.", "  leading and trailing  ", "line one\nline two\r\nline three\n\n\nline four", "x\n y\n  z\n",
    " \u00e9", "\u00e9 ", "a\n\n b", "a \n\n b", "a  \n", "?!?!", "(a)[b]{c}", "a'b'c", "rock'n'roll", "O'Neil's", "\u0410'\u0441", "y'all'd've", "\u0661a1", "a\u0bf3", "\u3007\u4e00\u4e8c", "\u16ee",
]

def random_texts(n=80, seed=7):
    r = random.Random(seed)
    alphabet = list("  \n\t abcdeXYZ0123456789.,!?'\"-_<>|$^~=+") + ["\u00e9", "\u0301", "\u4f60", "\u0434", "\u05d0", "\u0661", "\u00bd", "\U0001f600", "\u200d", "\ufe0f", "\u00a0", "\u2028", "\r", "\x04", "\x00"]
    return ["".join(r.choice(alphabet) for _ in range(r.randint(1, 40))) for _ in range(n)]

ALL = TEXTS + random_texts()
