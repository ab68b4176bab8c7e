"""The patterns and phrase lists of `operators.caption_quality`. Plain data, so that a list can be read and extended."""

import re

# Scripts written without spaces.
HAN_KANA = re.compile("[\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
THAI_LAO_BURMESE_KHMER = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]+")

EMOJI = re.compile("[\u2600-\u27bf\u2b50\u2b55\U0001f000-\U0001faff]")
HASHTAG = re.compile(r"(?<!\w)#(?=\w*[^\W\d])\w+")
DOT_IN_WORD = re.compile(r"\.\w|://")  # what every URL has: cheap to look for
URL = re.compile(
    r"(?:https?://|www\.)\S+|(?<![\w@.-])(?:[\w-]{1,63}\.){1,5}(?:com|org|net|info|io|ly|co\.uk|de|fr|ru|cn|jp)\b(?:/\S*)?", re.I
)
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
PHONE = re.compile(r"(?<![\w.])(?:\+|\()?\d[\d ().\-/]{7,18}\d(?!\w)")
DATE = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{4}|\d{4} ?- ?\d{4}")
MARKUP = re.compile(r"</?[a-zA-Z][^<>]{0,200}>|&(?:[a-z]{2,8}|#\d{1,6});|\[/?(?:img|url|caption)\b[^\]]{0,200}\]|\{\{|javascript:", re.I)
LETTER_RUN = re.compile(r"([^\W\d])\1{5}", re.I)

_CAMERAS = "img|dsc[nf]?|_dsc|pict|cimg|mvi|gopr|dji|pxl|sam|hpim|imgp|kimg|mg|fb_img|p\\d{3}"
_GENERIC = "screen[ -_]?shot|screenrecording|whatsapp image|bildschirmfoto|photo|image|picture|scan|untitled|snapchat"
FILENAME = re.compile(
    "|".join(
        (
            r"[^/\n]{1,150}\.(?:jpe?g|jpe|png|gif|webp|bmp|tiff?|heic|heif|avif|svg|psd|raw|cr2|nef|mp4|mov|avi|webm|mkv|pdf)",
            rf"(?:{_CAMERAS})[-_ ]?\d{{3,}}[\w\-() ]{{0,40}}",
            rf"(?:{_GENERIC})[-_ ]*\d[\d\-_ .:()]{{3,40}}(?:at[\d :.]+)?(?:am|pm)?",
            r"[0-9a-f]{16,128}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",  # hash, UUID
            r"(?=\S*\d{5})[^\W_]+(?:[_-][^\W_]+)+",  # 12345_n, photo-149805010
            r"[^\W_]+(?:_[^\W_]+){2,}",  # red_dress_front
            r"(?=\S*\d)[^\W_]+(?:-[^\W_]+){3,}|[^\W_]+(?:-[^\W_]+){5,}",  # red-dress-2019-new; "state-of-the-art" is not one
            r"[a-z]*\d{3,}x\d{3,}[a-z]*",  # 800x600
        )
    ),
    re.I,
)
"""A whole caption that is a file's name: an image extension, a camera's or phone's naming, a hash, an identifier, a slug."""

_GENERIC_WORDS = (
    "an?|the|my|your|our|image|img|photo|photograph|picture|pic|images|photos|pictures|thumbnail|thumb|icon|logo|banner|"
    "slide|figure|fig|avatar|header|cover|main|default|featured|product|profile|gallery|hero|blank|spacer|placeholder|"
    "background|alt|caption|title|description|text|test|undefined|null|nan|none|nil|n/a|no|not|untitled|unknown|unnamed|"
    "missing|available|lorem|ipsum|todo|tbd|empty|foto|bild|imagen|immagine|изображение|фото|图片|图像|照片|画像|写真|사진|이미지|here|"
    "goes|of|and"
)
PLACEHOLDER = re.compile(rf"(?:(?:{_GENERIC_WORDS}|\d+)(?![^\W\d_])|[\s.:_,!?()\[\]<>#/-])+", re.I)
"""A whole caption that says no more than that there is a picture."""

_ADVERT = (
    # shops
    "buy (?:it )?now|shop now|order (?:now|online)|add to (?:cart|bag|basket|wish ?list)|free (?:shipping|delivery|download)",
    "in stock|out of stock|sold out|best price|lowest price|low prices|discount code|coupon|promo code|special offer|limited time",
    "money back|checkout|wholesale|dropshipping",
    # page furniture
    "click (?:here|to|for|on|the)|tap (?:here|to)|(?:enlarge|zoom) (?:image|photo|picture)|read more|learn more|loading\\.\\.\\.",
    "(?:view|see) (?:larger|full[- ]?size|more (?:images|photos|details))|page not found|404 error|access denied|enable javascript",
    "(?:image|photo|picture|media|video|preview|thumbnail) (?:is )?(?:not |un)(?:available|found|loaded)|image (?:coming|not) (?:soon|yet)",
    "no (?:image|photo|picture|preview|thumbnail) (?:available|found|yet)|your browser|subscribe|sign up|log ?in to|follow us",
    "like and share|share (?:this|on)|pin (?:it|this)|tweet this|terms of (?:use|service)|privacy policy|cookies? policy",
    "(?:facebook|twitter|instagram|pinterest|whatsapp|linkedin) (?:icon|logo|share|button)",
    # stock agencies and wallpapers
    "(?:stock|royalty[- ]free) (?:photos?|images?|vectors?|pictures?|illustrations?|photography|footage)|royalty[- ]free|shutterstock",
    "getty ?images|istock(?:photo)?|alamy|dreamstime|depositphotos|adobe stock|123rf|bigstock|clip ?art|watermark(?:ed)? preview",
    "all rights reserved|copyright|©|hd wallpapers?|wallpapers? (?:hd|4k|download)|desktop wallpaper|free wallpaper",
    # the same in other languages
    "(?:jetzt|hier) (?:kaufen|klicken)|in den warenkorb|zum vergrößern|klicken sie|cliquez|agrandir|ajouter au panier|haga clic",
    "comprar ahora|añadir al carrito|ampliar|нажмите|купить|скачать",
)
_ADVERT_UNSPACED = "点击|立即购买|加入购物车|免费下载|包邮|クリック|今すぐ購入|送料無料|無料ダウンロード|클릭|무료배송"
_KINDS = "image|photo|photograph|picture|pic|illustration|screenshot|thumbnail"
_CREDIT = (
    rf"^(?:an? |the |this )?(?:stock )?(?:{_KINDS}) (?:of|showing|for|from|by|courtesy|credit)",
    "(?:image|photo|picture)s? (?:by|via|credit|courtesy|source)|(?:image|photo|photo credit|credit|source|via|courtesy of) ?:",
    "for sale|file photo|handout (?:photo|image)|(?:ap|afp|reuters) photo|symbol(?:bild|foto)|foto ?:|bild ?:",
    "via (?:flickr|getty|wikimedia)",
)
_PRICE = r"[$€£¥₹]\s?\d[\d.,]*|\d[\d.,]*\s?(?:[$€£¥₹]|usd|eur|gbp)|\d+ ?% off"

STOCK = rf"(?P<advert>{'|'.join(_ADVERT)}|{_ADVERT_UNSPACED})|(?P<credit>{'|'.join(_CREDIT)})|(?P<price>{_PRICE})"
"""Stock phrases as RE2 reads them: finds a little more than `BOILERPLATE`, much faster."""

BOILERPLATE = re.compile(
    rf"(?<!\w)(?:(?P<advert>{'|'.join(_ADVERT)})|(?P<credit>{'|'.join(_CREDIT)})|(?P<price>{_PRICE}))(?!\w)"
    rf"|(?P<unspaced>{_ADVERT_UNSPACED})",
    re.I,
)
"""Stock phrases as whole words: adverts and page text, and the weaker credits and prices, which good captions have too."""
