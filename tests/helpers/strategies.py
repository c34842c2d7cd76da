"""Hypothesis' strategies."""

from hypothesis import strategies as st

PIECES = [
    *'abz019 ,;\t\n\r"\\',
    "\r\n",
    '""',
    "\0",
    "\ufeff",
    "é",
    "e\u0301",
    "日本",
    "🙂",
    "👨\u200d👩\u200d👧",
    "שלום",
    "\u202e",
    "\u200b",
    "\u2028",
    "\x85",
    "\ufffd",
    "NA",
    "null",
    "[1]",
    "0.10",
    "</s>",
]


# hypothesis' own characters leave lone surrogates out, as UTF-8 does
texts = st.lists(st.sampled_from(PIECES) | st.characters(codec="utf-8"), max_size=8).map("".join)
