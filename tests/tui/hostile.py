"""Text that tries to leave its cells: names and bodies of a hostile peer (attacks 14, 79)."""

from __future__ import annotations

FAMILY = "👨‍👩‍👧‍👦"

ATTACKS: dict[str, str] = {
    "closing markup": "[/foo] [/] [bold",
    "opening markup": "[bold red on white]loud[@click=app.quit]press[/]",
    "clipboard (OSC 52)": "\x1b]52;c;cm0gLXJmIC8=\x07pwned",
    "link (OSC 8)": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "title (OSC 0)": "\x1b]0;owned\x07t",
    "cursor (CSI)": "\x1b[1;1Hhome\x1b[2J\x1b[10Aup",
    "C1 controls": "\x9b31mred\x9d52;c;QUJD\x9c \x90q\x9c",
    "device control": "\x1bP+q544e\x1b\\ \x1bc",
    "right-to-left override": "abc\u202egpj.exe\u202c\u2066iso\u2069",
    "zero width": "a\u200bb\u200cc\u2060d\ufefee\u00adf",
    "joined family": f"{FAMILY}{FAMILY} 👩🏽‍🚀 🏳️‍🌈",
    "selectors": "☺️ ❤️ 1️⃣ ⚠︎ ✌🏽 ☝🏿",
    "flags": "🇩🇪🇫🇷🇨 🇳",
    "combining flood": "z" + "\u0301\u0302\u0303" * 60 + "y",
    "leading combining": "\u0301\u0489\u20dd leading",
    "one endless word": "W" * 300,
    "one endless wide word": "宽" * 150,
    "spacing marks": "नमस्ते क्षि को कौन स्त्री หนึ่ง வணக்கம் མི",
    "fillers": "\u3164\u115f\uffa0\u2800",
    "private and unassigned": "\ue000\U000f0000\u0378\U000e0041",
    "lines": "one\r\ntwo\rthree\vfour\ffive\u2028six\u2029seven\x85eight",
    "tabs": "\t\tcolumn\tcolumn",
    "backspaces": "abc\b\b\bxyz\x7f\x00",
    "tall script": "꧁༒☬ ༄༅ ⸻ ﷽ 𒐫",
    "arabic": "مرحبا بالعالم ١٢٣ שלום",
    "surrogates": "\ud83d lone \udc00",
}

NAMES = tuple(ATTACKS.values())
BODIES = tuple(f"{label}: {text}" for label, text in ATTACKS.items())
