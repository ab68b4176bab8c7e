"""What `operators.captions.cleaning` takes out of captions. Plain data, so that a list can be read and extended."""

import re

from operators.caption_patterns import EMAIL as EMAIL_ADDRESS

COMMENT = re.compile(r"<!--.{0,2000}?-->|<(script|style)\b[^>]{0,500}>.{0,5000}?</\1\s*>", re.I | re.S)
ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{1,6}|#x[0-9a-fA-F]{1,5});")
BREAK = re.compile(r"<(?:br|p|/p|div|/div|li|/li|tr|/tr|h[1-6]|/h[1-6])\b[^<>]{0,300}>", re.I)
TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9:-]{0,30}(?:\s[^<>]{0,500})?/?>")
SHORTCODE = re.compile(r"\[/?(?:img|url|caption|b|i|u|center|color|size|quote|gallery|video)\b[^\]]{0,200}\]|\{\{[^{}]{0,200}\}\}", re.I)
IMAGE_OR_LINK = re.compile(r"!?\[([^\[\]]{0,300})\]\([^()\s]{1,500}\)")
EMPHASIS = re.compile(r"(\*\*|__)(?=\S)([^*_\n]{1,300}?)(?<=\S)\1")
HEADING = re.compile(r"^\s{0,3}#{1,6}\s+|^\s{0,3}>\s+", re.M)

_LABEL_URL = r"(?:\b(?:see|visit|via|from|at|more at|read more(?: at)?|source|link|photo from|image from|shop at|url|here)\s*:?\s+)?"
URL = re.compile(
    rf"{_LABEL_URL}(?:(?:https?|ftp)://[^\s<>，。）)】]+|www\.[^\s<>，。）)】]+"
    r"|(?<![\w@.-])(?:[A-Za-z0-9-]{1,63}\.){1,4}(?:com|org|net|info|io|ly|shop|store|co\.uk|com\.cn|de|fr|ru|cn|jp|tv)\b(?:/[^\s<>，。）)】]*)?)",
    re.I,
)
_LABEL_MAIL = r"(?:\b(?:(?:e-?mail|contact|write)(?: (?:us|me))?(?: at| to)?|mail to)\s*[:：]?\s*|(?:邮箱|电子邮件|邮件)\s*[:：]?\s*)?"
EMAIL = re.compile(rf"{_LABEL_MAIL}{EMAIL_ADDRESS.pattern}", re.I)
_LABEL_PHONE = (
    r"(?:(?<!\w)(?:or )?(?:call|phone|tel(?:ephone)?|mobile|whats ?app|fax|text|contact)(?: (?:us|me|now))?(?: at| on)?\s*[.:：]?\s*"
    r"|(?:联系电话|电话|手机|热线|客服|咨询)\s*[:：]?\s*)?"
)
PHONE = re.compile(rf"(?P<label>{_LABEL_PHONE})(?P<number>(?<![\w.])(?:\+|\()?\d[\d ().\-/]{{7,18}}\d(?!\w))", re.I)
CHINESE_MOBILE = re.compile(r"(?:(?:联系电话|电话|手机|热线|客服|咨询)\s*[:：]?\s*)?(?<!\d)1[3-9]\d{9}(?!\d)")
CHAT_ID = re.compile(r"(?:加?(?:微信号?|QQ群?|vx)|wechat)\s*[:：号]\s*[A-Za-z0-9_-]{4,20}", re.I)

HASHTAG = re.compile(r"(?<![\w&#])#(?!\d+\b)(?P<word>\w{1,60})(?P<weibo>#)?")
MENTION = re.compile(r"(?:\b(?:by|via|from|cc|ft\.?|photo|credit|follow|with)\s*:?\s+)*(?<![\w.])@[A-Za-z_]\w{1,30}(?:\.\w+)?", re.I)

FILE = re.compile(
    r"(?<![\w/.-])(?:"
    r"[\w()-]{1,80}\.(?:jpe?g|png|gif|webp|bmp|tiff?|heic|avif|cr2|nef|arw|dng|mp4|mov)"
    r"|(?:img|dsc[nf]?|_dsc|_mg|mg|pict|cimg|mvi|gopr|dji|pxl|hpim|imgp|kimg|fb_img|sam)[-_]?\d{3,}(?:[_-]\d+){0,3}"
    r"|p\d{7}|\d{8}_\d{6}|\d{3}_\d{4}"
    r")(?![\w.-]*\w)",
    re.I,
)

SITES = (
    "ebay|amazon(?:\\.(?:com|de|fr|co\\.uk))?|etsy|aliexpress|alibaba(?:\\.com)?|walmart(?:\\.com)?|target|wayfair|zazzle|redbubble|poshmark|"
    "wish|shein|taobao|tmall|jd\\.com|pinterest|flickr|tumblr|instagram|facebook|twitter|youtube|reddit|imgur|deviantart|wikipedia|"
    "shutterstock|getty ?images|istock(?:photo)?|alamy|dreamstime|depositphotos|adobe stock|123rf|bigstock(?:photo)?|stocksy|unsplash|pexels|"
    "淘宝网?|天猫|京东|拼多多|阿里巴巴|小红书|视觉中国|图虫|千图网|昵图网|摄图网|百度(?:图片)?"
)
ADVERT = (
    "buy (?:it |yours )?(?:now|today|online)|shop (?:now|online|the look)|order (?:now|today|online|yours)|add to (?:cart|bag|basket|wish ?list)|"
    "(?:with )?free (?:(?:fast|express|worldwide|uk|us) )?(?:shipping|delivery|returns|download|p&p)(?: worldwide)?|in stock|out of stock|"
    "sold out|"
    "(?:best|lowest|low|great|cheap|factory) prices?(?: guaranteed?| ever)?|(?:discount|promo|coupon) codes?|special offers?|"
    "limited (?:time|edition)(?: offer)?|"
    "money back(?: guarantee)?|hot sale|on sale(?: now)?|(?:big |summer |winter |flash |clearance )?sale(?: now on| ends soon)?|for sale|"
    "clearance|"
    "best ?seller|new arrivals?|"
    "new in|new with tags|brand new|nwt|ships? (?:fast|free|today)|fast (?:shipping|delivery)|wholesale|dropshipping|"
    "click (?:here|to enlarge|for (?:more|details)|the link(?: in bio)?)(?: for (?:more|details))?|link in bio|"
    "tap to (?:shop|enlarge|buy)|view larger(?: image)?|(?:click to )?enlarge image|zoom image|"
    "read more|learn more|see more|subscribe(?: now)?|follow us(?: on \\w+)?|follow for more|like and share|pin it|swipe (?:up|left)|"
    "share this|"
    "(?:stock|royalty[- ]free) (?:photo|image|vector|picture|illustration|photography|footage)s?(?: \\d{4,})?|royalty[- ]free|"
    "stock (?:photo|image|id)?:? ?\\d{5,}|(?:photo|image|item|product|model|style|sku|ref|art|mpn|upc|asin)(?: (?:id|no\\.?|number|#))?"
    "\\s?[:#]\\s?[\\w-]*\\d[\\w-]*|"
    "all rights reserved|(?:copyright|©|\\(c\\)) ?(?:\\d{4})?(?: by)?(?: [a-z][\\w.]+){0,3}|hd wallpapers?|(?:free )?desktop wallpapers?|"
    "wallpapers? hd|4k wallpapers?|watermarked|editorial use only|"
    "(?:photo|image|picture)s? (?:by|via|courtesy of|credit:?|source:?)(?: [\\w.'-]+){1,3}|(?:photo|image|source|credit|via) ?: ?(?:[\\w.'-]+ ?){1,3}|"
    "comments? ?\\(?\\d*\\)?|\\d+ (?:likes|views|reviews|pins|comments|ratings)"
)
CHINESE_ADVERT = (
    "点击(?:查看|放大)?(?:大图|图片|购买|链接)?|立即(?:购买|抢购|下单)|马上(?:购买|抢购)|加入购物车|免费下载|全国包邮|包邮|正品(?:保证|行货)?|"
    "厂家直销|现货(?:供应|批发)?|热卖(?:中)?|爆款|限时(?:特价|抢购|优惠|折扣)?|促销(?:中)?|特价|清仓|新品上市|新款上市|"
    "[一二三四五六七八九\\d.]+折(?:优惠|起)?|批发(?:价)?|"
    "买[一二三\\d]送[一二三\\d]|(?:图片|照片|图|文)?来源\\s*[:：]\\s*[\\w]{1,12}|(?:图|摄影|摄)\\s*[:：/]\\s*[\\w]{1,12}|版权所有|未经(?:许可|授权)"
    "(?:请)?(?:勿|不得)转载|"
    "转载请注明出处|关注(?:我们|公众号)?(?:的?公众号)?|扫码(?:关注|购买)|欢迎(?:选购|购买|咨询|订购)|高清(?:图片|壁纸|大图)(?:下载)?|壁纸下载|"
    "图片素材(?:下载)?|"
    "(?:月销|销量)\\d+(?:件|笔)?|7天无理由退换"
)
_NUMBER = r"\d[\d.,]*"
PRICE = (
    rf"(?:(?:only|now|just|from|for|was|price|starting at|under|rrp|msrp|reg\.?)\s*:?\s*)*"
    rf"(?:(?:us|au|ca|hk|nt)?[$€£¥￥₹]\s?{_NUMBER}(?:\s?(?:usd|eur|gbp))?(?:/\w+| each)?|{_NUMBER}\s?(?:[$€£¥￥₹]|usd|eur|gbp|cny|rmb|dollars|euros)(?!\w))"
    rf"|(?:up to |save |extra )*\d+ ?% (?:off|discount)"
    rf"|(?:仅|只要|现价|原价|价格|售价|特价|优惠价|促销价)?\s*[:：]?\s*(?:[¥￥]\s?{_NUMBER}|{_NUMBER}\s?元)(?:起)?"
)

STRONG = re.compile(
    rf"(?<!\w)(?:(?:buy|shop|order|get) (?:it |yours )?(?:on|from|at) (?:{SITES})|{PRICE})(?![\w])"
    rf"|(?<!\w)(?:buy (?:it )?now|shop now|order now|add to cart|free shipping|free delivery|click here(?: (?:to|for) \w+)?|click to enlarge|link in bio"
    r"|all rights reserved|hot sale|follow us|on sale now|(?:discount|promo|coupon) code:? ?[A-Z0-9]{3,12})(?:\W*!)?(?!\w)"
    rf"|{CHINESE_ADVERT}",
    re.I,
)
"""Never part of a description, wherever it stands."""
SEGMENT = re.compile(
    rf"\W*(?:(?:{ADVERT}|{SITES}|(?:{PRICE})|{CHINESE_ADVERT}|on|at|from|by|and|now|only|just|today|with|\d+)(?!\w)\W*){{1,8}}", re.I
)
"""A part of a caption between separators that is nothing but shop and page text."""
PREFIX = re.compile(
    r"^\s*(?:(?:stock|royalty[- ]free|free stock) (?:photo|image|vector|picture|illustration|photography|footage)s?|free (?:photo|image)s?|(?:hd|4k|free|desktop) wallpapers?)"
    r"(?: (?:of|showing|:)|:|\s*[-–—|])\s+",
    re.I,
)
SUFFIX = re.compile(
    r"\s*[,;:–—|-]?\s+(?:(?:royalty[- ]free )?(?:stock (?:photos?|images?|vectors?|pictures?|illustrations?|photography|footage))(?:,? \d{4,})?"
    r"|hd wallpapers?|(?:desktop )?wallpapers? (?:hd|4k)|royalty[- ]free)\s*$",
    re.I,
)
SEPARATOR = re.compile(
    r"(\s+[-–—~]+\s+|\s*[|•·»¦｜]+\s*|\s+//\s+|\s*\n+\s*|(?<=[!?。！？])\s*|(?<=[.…])\s+|\s*[【】]\s*|\s*[，]\s*|(?<=\w),\s+)"
)
"""Where a caption may be cut into parts; the part before a full stop keeps it."""

BRACKETS = re.compile(r"[(\[（【]([^()\[\]（）【】]{1,80})[)\]）】]")
LOOSE_END = re.compile(r"\s+(?:and|or|at|on|for|from|by|via|only|now|just|see|visit)[.!]?$", re.I)
"""What remains before a piece that was cut off the end."""
STUTTER = re.compile(r"\b(the|a|an|of|in|on|at|and|with|to|is|are)(?:\s+\1\b)+", re.I)
PUNCTUATION_RUN = re.compile(r"([!?！？])[!?！？]+|([,;:，；])\2+")
ACRONYMS = frozenset(
    [
        "USA",
        "UK",
        "US",
        "EU",
        "UN",
        "UAE",
        "NYC",
        "LA",
        "DC",
        "TV",
        "DVD",
        "CD",
        "PC",
        "DJ",
        "BBQ",
        "ATM",
        "BMW",
        "VW",
        "GMC",
        "KFC",
        "NASA",
        "NBA",
        "NFL",
        "MLB",
        "NHL",
        "FIFA",
        "UEFA",
        "UFO",
        "DIY",
        "LED",
        "LCD",
        "HDR",
        "DSLR",
        "VR",
        "AI",
        "ID",
        "SUV",
        "ATV",
        "RV",
        "BMX",
        "MTB",
        "CEO",
        "PhD",
        "HD",
        "3D",
        "II",
        "III",
        "IV",
        "VI",
        "VII",
        "VIII",
        "IX",
        "XL",
        "XXL",
        "AM",
        "PM",
        "BC",
        "AD",
        "JFK",
        "NYPD",
        "FBI",
        "CIA",
        "IBM",
        "HP",
        "AC",
        "DC",
        "RAF",
        "US",
        "UN",
    ]
)
"""Stay in capitals when shouting is toned down."""
