"""Patterns of answers that are no caption. Plain data, so that a list can be read and extended."""

import re

REFUSAL = re.compile(
    r"\b(?:i|we)(?: am|'m|’m| are|'re)? (?:really |very |so |deeply )?(?:sorry|afraid|apologi[sz]e)\b|\b(?:my |sincere )?apologies\b|\bsorry,? (?:but|i|we|for|about)\b"
    r"|\b(?:i|we) (?:can ?not|can'?t|can’t|could ?n[o']t|could not|won'?t|will not|do not|don'?t|am not able|'m not able|am unable|'m unable|must decline|"
    r"have to decline|"
    r"decline)\b|\bunable to (?:assist|help|comply|fulfill?|provide|process|generate|rewrite|describe|see|view|create)"
    r"|\bas an? (?:ai|artificial|large|language|text|responsible)\b|\b(?:ai|language) model\b|\bcannot (?:assist|help|comply|fulfill?|provide|process|"
    r"generate|rewrite|be rewritten|be described|create)"
    r"|\bagainst (?:my|our|the) (?:guidelines|polic|programming|content)|\b(?:content|usage) policy\b|\bno (?:caption|image|picture|text) "
    r"(?:was |is )?(?:provided|given|available|found)"
    r"|\bplease (?:provide|share|upload|clarify|give|let me know|try)|\b(?:not|in)appropriate (?:content|request|for me)"
    r"|(?:我|非常|很)(?:无法|不能|很?抱歉|不可以)|抱歉|对不起|无法(?:提供|协助|帮助|完成|满足|处理)|作为(?:一个|一名)?(?:AI|人工智能|语言模型)",
    re.I,
)
CHATTER = re.compile(
    r"^\W*(?:sure|certainly|of course|absolutely|okay|ok|got it|great|here(?:'s|’s| is| are)|below is|the following is|"
    r"(?:the )?(?:rewritten|revised|new|improved|updated|final|corrected|cleaned)\s*(?:caption|sentence|version|text|description)|"
    r"(?:caption|output|answer|result|rewrite|rewritten|response|sentence|description)\s*[:：]|this (?:caption|sentence) (?:has|was|is)|"
    r"(?:the|this) (?:image|picture|photo|frame|video)s? (?:shows?|depicts?|features?|displays?|captures?|contains?|is of)\b|"
    r"\"?(?:user|assistant|system)\"?\s*:|好的|当然|以下是|改写后|标题[:：])"
    r"|\b(?:let me know|i hope (?:this|that)|feel free to|hope this helps|would you like|is there anything|note that i|as requested|"
    r"as you (?:asked|requested))\b"
    r"|\b(?:the )?(?:original|old|given|provided|above) caption\b|<think>|</think>|请告诉我|希望这",
    re.I,
)
MARKUP = re.compile(
    r"</?[a-zA-Z][^<>]{0,200}>|&(?:[a-z]{2,8}|#\d{1,6});|```|`[^`]+`|\*\*|__|^\s{0,3}(?:#{1,6} |[-*•] |\d+[.)] |> )|\[[^\]]*\]\([^)]*\)|"
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffd]|"  # controls, overrides of the direction, broken characters
    r"[{}\\|]|\[/?[a-z]{1,10}\]|\$\$|"
    r"(?:https?://|www\.)\S+|(?<![\w&])#\w+|\S+@\w+\.\w+|\w+_\w+_\w+|\"\w+\"\s*:",
    re.I | re.M,
)
DANGLING = frozenset(
    [
        "a",
        "an",
        "the",
        "and",
        "or",
        "but",
        "nor",
        "with",
        "in",
        "on",
        "at",
        "of",
        "to",
        "from",
        "by",
        "for",
        "as",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "being",
        "while",
        "who",
        "which",
        "that",
        "whose",
        "where",
        "when",
        "because",
        "into",
        "onto",
        "over",
        "under",
        "near",
        "next",
        "its",
        "his",
        "her",
        "their",
        "my",
        "your",
        "our",
        "this",
        "these",
        "those",
        "some",
        "two",
        "three",
        "four",
        "five",
        "very",
        "than",
        "then",
        "if",
        "so",
        "has",
        "have",
        "having",
        "wearing",
        "holding",
        "behind",
        "beside",
        "between",
        "through",
        "across",
        "along",
        "against",
        "toward",
        "towards",
        "inside",
        "outside",
        "including",
        "such",
        "like",
    ]
)
"""A caption that ends with one of these, without a full stop, was cut off."""
END = tuple(".!?。！？…\"'”’)）」』】")
PROHIBITED = ("porn", "porno", "pornographic", "xxx", "hentai", "onlyfans", "cumshot", "色情", "裸聊", "约炮")
"""Never in a caption unless a recipe gives a list of its own."""
