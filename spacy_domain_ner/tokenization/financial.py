"""The rules for financial text: `$1.2bn`, `BRK.B`, `10-K/A`, `Q3'25`, `EUR/USD`, `+25bps` are one token each."""

from spacy_domain_ner.tokenization.group import Table, make_group

_CODES = (
    "AED|ARS|AUD|BGN|BHD|BRL|CAD|CHF|CLP|CNH|CNY|COP|CZK|DKK|EGP|EUR|GBP|GBX|GHS|HKD|HUF|IDR|ILS|INR|ISK|JPY|KES|KRW|KWD|"
    "KZT|MAD|MXN|MYR|NGN|NOK|NZD|OMR|PEN|PHP|PKR|PLN|QAR|RMB|RON|RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|UYU|VND|ZAR"
)
_COINS = "BTC|ETH|XRP|SOL|ADA|DOGE|BNB|LTC|USDT|USDC|XAU|XAG|XPT|XPD|XBT|DOT|LINK|AVAX|WBTC|DAI|BUSD"
# What an amount begins with: $ US$ C$ £ € EUR Rs.
_SIGN = r"(?:(?:US|AU|CA|NZ|HK|NT|SG|MX|BZ|[ACSRZJ])?\$|R\$|[€£¥￥₹₩₽₺₪₫₴฿₦₱₿＄]"
_CURRENCY = rf"{_SIGN}|(?:{_CODES}|Rs\.?|RM|Fr\.)(?=[\d(]))"
_NUMBER = r"(?:\d{1,3}(?:,\d{2,3}){1,6}(?:\.\d{1,6})?|\d{1,12}(?:[.,]\d{1,6})?|\.\d{1,6})"
_SIZE = (
    r"(?:k|K|m|M|mm|MM|mn|Mn|MN|mln|Mln|mio|Mio|b|B|bn|Bn|BN|bln|bil|t|T|tn|Tn|trn|tr|cr|Cr|crore|lakh|lac|million|"
    r"billion|trillion)"
)
_YEAR = r"(?:\d{4}|\d{2})(?:[/-]\d{2,4})?[AEFP]?"

NAMES: Table = (
    (
        "$1.2bn US$500m €0.6m -€0.6m +$12m $(1,234) $82.40 EUR500m £300k ¥5,000 HK$3.2bn Rs.500 USD1.2bn C$4m "
        "$1,234.56 R$2bn",
        rf"[-+−–±]?{_CURRENCY}(?:{_NUMBER}{_SIZE}?|\({_NUMBER}{_SIZE}?\))",
    ),
    ("1.2bn 45mm 3.5mn 12.5k 14m 2.3tn", rf"{_NUMBER}{_SIZE}"),
    ("$AAPL $MARN $BRK.B $ETH", r"\$[A-Z]{1,6}(?:[.-][A-Z]{1,2})?"),
    (
        "BRK.B BF-B BRK/B RDS.A VOD.L 0700.HK BMW.DE 600519.SS BAC-PK RY.TO BHP.AX",
        r"[A-Z]{2,5}[-/][A-Z](?:[A-Z](?=\W|\Z))?(?<!/O)(?<!N/A)|[A-Z0-9]{1,6}\.[A-Z]{1,3}",
    ),
    ("^VIX ^GSPC .SPX .FTSE ES=F EURUSD=X DX=F", r"\^[A-Z0-9]{1,8}|\.[A-Z]{2,6}\d{0,4}|[A-Z0-9]{1,8}=[A-Z]{1,2}"),
    (
        "EUR/USD USD/JPY BTC/USD XAU/USD BTC-USD ETH/USDT GBP/EUR EURUSD",
        rf"(?:{_CODES}|{_COINS})[/-]?(?:{_CODES}|{_COINS})(?:=X)?",
    ),
    (
        "10-K 10-Q 8-K 20-F 10-K/A 10-Qs 6-K 40-F 10-KSB 10-K405 11-K 10-D",
        r"(?:10|8|6|20|40|11|18|15|12)-(?:KSB|K405|KT|QSB|12[BG]|K|Q|F|D|R|b)(?:/A)?(?:s|['’]s)?",
    ),
    (
        "S-1 S-1/A F-1 S-4 N-CSR N-PORT N-CEN S-3ASR N-1A SB-2 F-10 T-3 D/A",
        r"(?:[SFNTU]|SB|NT)-\d{1,2}[A-Z]{0,4}(?:/A)?|N-(?:CSRS?|PORT|CEN|PX|MFP|SAR|[QA])(?:/A)?|N?T-10[KQ]|D/A",
    ),
    (
        "13D 13G/A 13F-HR 13F DEF-14A 424B5 ADV-W 13F-HR/A",
        r"13[DFGH](?:-(?:HR|NT))?(?:/A)?|DEFA?-14[AC]|424B\d|ADV-[A-Z]",
    ),
    (
        "Q3'25 Q3FY24 FY2024/25 FY'24 3Q25 1H'25 Q1FY26E H1-24 CY2024 4Q'23 FY24E Q4’24 Q2-2025",
        rf"(?:Q[1-4]|H[12]|FY|CY|MY|[1-4]Q|[12]H|9M|6M)[-'’‘/]?(?:(?:FY|CY)['’‘-]?)?{_YEAR}",
    ),
    (
        "+25bps -10bp 25bps 12.5bps +150bp ±50bps −75bps 50bp +2.5x 12.3x",
        r"[-+−–±]?\d{1,5}(?:[.,]\d{1,4})?(?:bps?|bp|pps?|pts?|x)",
    ),
    (
        "P/E EV/EBITDA P/B D/E EV/Sales P/FCF y/y q/q P/NAV EV/EBIT m/m y-o-y q-o-q L/D CET1",
        r"(?:EV|NAV|[PDBL])/(?:EBITDA[RX]?|EBITA?|Sales|sales|FCF|CF|OCF|TBV|BV|NAV|IC|GP|Revenue|AUM|[EBSDV])"
        r"|[yqmwYQMW]/[yqmwYQMW]|[yqmYQM]-[oO]-[yqmYQM]|CET1",
    ),
    (
        "S&P AT&T M&A P&G S&P500 R&D P&L H&M",
        r"[A-Z]{1,4}&[A-Z]{1,4}\d{0,4}",
    ),
    ("S.p.A. N.V. p.l.c. G.m.b.H. S.A. L.P. S.A.B. L.L.C. A.G.", r"[A-Z]\.(?:[A-Za-z]\.){1,4}|p\.l\.c\."),
    (
        "10-year 3-month 30-yr 5y5y 2s10s 10Y 1y1y 2s/10s 5s30s 3-mo",
        r"\d{1,2}-(?:years?|yrs?|months?|mths?|mo|weeks?|wk|days?)|\d{1,2}[smywSMYW]/?\d{1,2}[smywSMYW]",
    ),
    (
        "T-bill T-bills T-note E-mini A-shares B-share I-bond T-bonds H-shares e-mini",
        r"T-(?:[Bb]ills?|[Nn]otes?|[Bb]onds?)|[Ee]-[Mm]inis?|[A-Z]-[Ss]hares?|I-[Bb]onds?",
    ),
)

JOINTS: Table = (
    (
        "$1.2bn - $1.4bn | $1.2bn / €1.1bn | 25bps - 50bps",
        rf"(?<=[\w)%])[-–/](?={_SIGN}))|(?<=[a-zA-Z%])[-–](?=\d)",
    ),
    ("SOFR + 150bps | L + 325", r"(?<=[A-Za-z])\+(?=\d)"),
    ("BBB+ - rated | 5% - owned", r"(?<=[%+)])[-\u2010\u2011](?=[^\W\d_])"),
    ("HKEX : 0700.HK | TSE : 7203", r"(?<=[A-Z]):(?=\d{3,6}(?!\d))"),
    ("~ £2m", r"~(?=[\d$€£¥])"),
    ("cash + shares", r"(?<=\w)\+(?=[A-Za-z])"),
)

_START = r"(?<![^\W_])(?<!\d[.,])(?<![^\W_][-&/'’.](?=[^$€£¥]))"

GROUP = make_group(
    NAMES,
    JOINTS,
    start=_START,
    end=r"(?![^\W_]|&[A-Z]|[.,]\d)",
    opening=r"(?:US|AU|CA|NZ|HK|NT|SG|MX|BZ|[ACSRZJ])\$",
    closing=r"(?:\d[A-Za-z]{1,4}|[)\].+'’])",
)
