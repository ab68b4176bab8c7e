"""Finds text inside a caption that speaks to a model instead of about a picture (prompt injection)."""

import re

_PREVIOUS = r"(?:(?:all|any|every|the|your|my|these|those|of|and) ){0,4}"
_RULES = (
    r"(?:instructions?|prompts?|rules?|guidelines?|directions?|commands?|text|messages?|context|system|above|task|constraints?|orders?)"
)
PATTERNS = (
    # leave what you were told
    rf"(?:ignore|disregard|forget|skip|override|bypass|drop|discard|overrule|do not (?:follow|obey)|don'?t (?:follow|obey)) {_PREVIOUS}"
    rf"(?:(?:previous|prior|above|earlier|preceding|foregoing|original|initial|system|safety|everything|what|other|existing|current|former|"
    rf"old|captioning|given) ?){{0,3}}(?:{_RULES}|(?:you (?:were|have been) told)|above|before|so far|instructions?)",
    r"ignor(?:e|ing) (?:the|all|everything) (?:above|before|previous)",
    r"(?:new|updated|real|actual|important|additional|special|urgent) (?:system )?(?:instructions?|task|prompt|directive|orders?|rule)s?\s*(?::|-|—|is\b|are\b)",
    r"(?:from now on|starting now|henceforth),? (?:you|act|answer|reply|respond|only|always)",
    r"you are (?:now |actually |no longer )(?:an?|the|in|my|called)?\b|you are (?:an?|the) (?:helpful|ai|unrestricted|language|assistant|"
    r"chatbot|developer)",
    r"(?:act|behave|pretend|roleplay|respond|reply) (?:as (?:if|an?|the|my)|to be|like an?)\b|pretend (?:that )?you",
    # give away or do something
    r"(?:reveal|print|show|repeat|output|display|leak|tell me|write out|dump|copy|quote|disclose|translate|summari[sz]e|echo) "
    rf"(?:me )?{_PREVIOUS}(?:full |entire |exact |hidden |secret |own )*(?:system|initial|hidden|secret|developer|original|previous|above|first)?"
    r" ?(?:prompt|instructions?|messages?|rules|api[ _-]?keys?|password|secrets?|configuration|system prompt|examples?)",
    r"(?:system|developer|assistant|hidden) (?:prompt|message|instructions?)|prompt injection|jailbreak|\bDAN mode|developer mode|"
    r"sudo mode|god mode",
    r"(?:call|use|invoke|run|execute|trigger) (?:the |a |your |any )?(?:\w+ )?(?:tools?|functions?|plugins?|api|shell|commands?|python|code|"
    r"browser|web_?search)\b",
    r"(?:respond|reply|answer|output|return|say|write|print|end|begin|start|finish)(?: (?:only|just|back|strictly|exclusively))* "
    r"(?:with |in |using |the (?:word|words|text|phrase|following|string|sentence) |as |exactly |nothing |only )",
    r"(?:add|include|append|insert|put|remove|rename) (?:an? |the )?(?:new |extra |additional )?(?:field|key|property|attribute|column|json)\b",
    r"(?:instead of|rather than) (?:a |the )?(?:caption|json|description|rewriting|describing)|instead,? (?:write|say|output|reply|return|"
    r"respond|print|tell)",
    r"do not (?:rewrite|describe|caption|mention)|stop (?:captioning|describing|rewriting)|(?:end|start) of (?:the )?"
    r"(?:prompt|instructions?|caption|system)",
    r"(?:send|post|upload|forward|email) (?:this|the|it|all|your|everything)\b.{0,40}\b(?:to|http)",
    r"(?:you|the (?:assistant|ai|model|captioner|bot|llm)) (?:should|must|will|shall|have to|need to|are to|is to)(?: now| only| always| never| instead)*"
    r" (?:say|write|print|answer|reply|respond|output|describe|repeat|call|use|add|reveal|tell|translate|generate|return|do|be|ignore|end|begin)\b",
    r"note to (?:the )?(?:ai|model|assistant|captioner|bot|llm)|(?:system|admin|developer|root) override|end of caption|order from (?:the|your) \w+",
    # chat templates
    r"<\|?(?:im_start|im_end|system|endoftext|user|assistant|eot_id|start_header_id)\|?>|\[/?INST\]|<</?SYS>>|###? ?(?:system|instruction|"
    r"human|assistant|user|response)\b|^(?:system|assistant|developer) ?:|\b(?:system|assistant|human) ?: ",
    r"<tool_call>|\"?tool_calls?\"? ?:|\"?function_call\"? ?:|\"role\" ?: ?\"",
    # other languages
    r"忽略(?:以上|上面|之前|上述|前面|所有|此前|一切)?的?(?:所有|全部)?的?(?:指令|指示|提示|内容|要求|规则|命令)?|无视(?:以上|之前|上面|所有|上述)|"
    r"(?:输出|显示|告诉我|泄露|打印|重复)(?:你的)?(?:系统)?(?:提示词?|指令|密钥)|系统提示|你现在是|从现在(?:开始|起)|扮演",
    r"ignor(?:a|ez|iere|iert|ieren|are|ar|ate) (?:todas? |toutes? |alle |tutte |le |les |las |os |as |die |sie |bitte )*(?:instruc|anweisung|consignes|"
    r"istruzioni|vorherige|obige|bisherige)",
    r"(?:игнорируй|забудь|проигнорируй)(?:те)? (?:все )?(?:предыдущие|инструкции|выше)|以前の(?:指示|命令)を無視|前の指示を無視|이전 (?:지시|명령)(?:을|를)? 무시",
)
IMPERATIVE = (
    r"(?:^|(?<=[.!?:;\"'\n])\s*)(?:(?:please|now|then|next|first|and|also|p\.?s\.?|instead)[, ]+)*(?:write|output|print|say|repeat|describe|reveal|translate|answer|"
    r"respond|reply|return|generate|tell|explain|summari[sz]e|list|echo|recite|compose|visit|pretend|act)\s+(?:an?|the|your|my|me|us|everything|"
    r"all|in|with|only|this|that|these|as|word|json|[\"']|pwned|hacked|ok\b|yes\b|hello)"
)
"""A sentence that begins by telling somebody to write or say something: captions tell what is, not what is to be done."""
INSTRUCTION = re.compile(rf"(?<![a-zA-Z])(?:{'|'.join(PATTERNS)})|{IMPERATIVE}", re.I | re.M)
TEMPLATE_TOKEN = re.compile(r"<\|[^|<>]{1,40}\|>|\[/?INST\]|<</?SYS>>|</?tool_call>", re.I)
SENTENCE = re.compile(r"(?<=[.!?。！？;；\n])\s*|\s+[-–—|]+\s+|(?=[\(\[{<])")
LEAD = re.compile(r"(?:please|now|and|then|but|important|note|attention|warning|hey|dear|ai|model|assistant|captioner)\b[\s,:!-]*", re.I)


def speaks_to_model(text: str) -> bool:
    """Whether something in the text reads like an instruction to a model. A list of patterns: what is worded anew gets by."""
    return INSTRUCTION.search(text) is not None


def without_instructions(text: str) -> str:
    """The text before the sentence that first speaks to a model, or before the first token of a chat template.

    What stands behind such a sentence is its payload more often than a description, so it goes too.
    """
    if not speaks_to_model(text):
        return text
    token = TEMPLATE_TOKEN.search(text)
    text = text[: token.start()] if token else text
    kept: list[str] = []
    at = 0
    for cut in [*(m.end() for m in SENTENCE.finditer(text)), len(text)]:
        if cut <= at:
            continue
        part = text[at:cut]
        if INSTRUCTION.search(part):
            break
        kept.append(part)
        at = cut
    text = "".join(kept).rstrip(" -–—|([{<")
    return "" if INSTRUCTION.search(text) else re.sub(rf"(?:^|\s){LEAD.pattern}$", "", text, flags=re.I)
