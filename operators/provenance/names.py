"""Programs and services that make pictures, as they name themselves in Software, CreatorTool, Credit and C2PA claims."""

import re

_GENERATORS: tuple[tuple[str, str], ...] = (
    (r"(adobe[ _])?firefly", "Adobe Firefly"),
    (r"midjourney", "Midjourney"),
    (r"novelai", "NovelAI"),
    (r"dall[·\-\s]?e\b", "DALL-E"),
    (r"(openai\b|chatgpt|gpt-?4o\b|gpt-image|sora\b)", "OpenAI"),
    (r"(stable ?diffusion|sd\.?next|automatic1111|a1111)", "Stable Diffusion"),
    (r"(stability[ .]?ai|dreamstudio|stable ?studio|stable image)", "Stability AI"),
    (r"comfyui", "ComfyUI"),
    (r"invokeai", "InvokeAI"),
    (r"(ruined)?fooocus", "Fooocus"),
    (r"(stable)?swarmui", "SwarmUI"),
    (r"draw ?things", "Draw Things"),
    (r"mochi diffusion", "Mochi Diffusion"),
    (r"diffusionbee", "DiffusionBee"),
    (r"easy diffusion", "Easy Diffusion"),
    (r"(google )?(imagen[ -]?\d|nano banana|gemini( \d[\w. -]*image.*)?\s*$)", "Google"),
    (r"google (c2pa|media processing|generative|ai\b)", "Google"),
    (r"image ?fx", "Google"),
    (r"(microsoft_?responsible_?ai|bing image creator|microsoft designer)", "Microsoft"),
    (r"leonardo\.?ai", "Leonardo.Ai"),
    (r"ideogram", "Ideogram"),
    (r"recraft", "Recraft"),
    (r"black forest labs|bfl\b|flux\.[12]", "FLUX"),
    (r"(xai\b|grok)", "Grok"),
    (r"(apple )?image playground", "Apple Image Playground"),
    (r"playground ?(ai|v\d)", "Playground"),
    (r"(runway ?ml|runway gen|gen-[234]\b)", "Runway"),
    (r"(kling ?ai|kolors)", "Kling"),
    (r"(seedream|jimeng|dreamina)", "ByteDance"),
    (r"(meta ai|imagine with meta|made with ai by meta)", "Meta AI"),
    (r"(wombo|dream by wombo)", "WOMBO Dream"),
    (r"(nightcafe|starryai|craiyon|artbreeder|tensor\.?art|seaart|civitai|krea\b)", ""),
    (r"(hugging ?face )?diffusers\b", "Diffusers"),
)
_ENHANCERS = (
    r"(topaz (photo|gigapixel|video|sharpen|denoise)|gigapixel|luminar (ai|neo)|remini\b|waifu2x|upscayl|real-?esrgan|magnific|"
    r"letsenhance|ai enhancer|photoroom)"
)
_GENERATED_BY = [(re.compile(rf"\s*{pattern}", re.I), name) for pattern, name in _GENERATORS]
_ENHANCED_BY = re.compile(rf"\s*{_ENHANCERS}", re.I)
_CREDIT = re.compile(
    r"\s*((?P<made>made|created|generated) (with|by|using)|edited (with|by|using)) "
    r"(?P<who>(\w+ ){0,2}(?-i:AI)\b|(apple )?image playground)",  # capitals: "ai" is a word of Italian
    re.I,
)


def generator_of(text: str) -> str | None:
    """The generator that a program's name begins with; a sentence that mentions one is no name."""
    if len(text) > 120:
        return None
    for pattern, name in _GENERATED_BY:
        if match := pattern.match(text):
            return name or match.group().strip()
    return None


def enhancer_of(text: str) -> bool:
    """Whether a program's name begins with that of an enhancer: it invents detail, on a picture that may be a photograph."""
    return len(text) <= 120 and bool(_ENHANCED_BY.match(text))


def credit_of(text: str) -> tuple[str, bool] | None:
    """(who, whether the whole picture was made so) of a credit line such as "Made with Google AI"."""
    match = _CREDIT.match(text) if len(text) <= 120 else None
    return (match["who"].strip(), bool(match["made"])) if match else None
