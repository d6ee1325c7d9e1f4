"""The rules for biomedical text: `IL-2`, `Ca(2+)`, `1,2-dichloroethane`, `mg/kg` are one token each.

Mentions end where the guidelines of the field end them: of a compound only the name is annotated, so `5-HT-induced` is
`5-HT`, `-`, `induced`, and `p53-/-` is `p53`, `-/-`.
"""

from spacy_domain_ner.tokenization.group import HYPHEN, Table, make_group

_GREEK = (
    r"(?:[Aa]lpha|[Bb]eta|[Gg]amma|[Dd]elta|[Ee]psilon|[Zz]eta|[Ee]ta|[Tt]heta|[Kk]appa|[Ll]ambda|[Mm]u|[Ss]igma|[Tt]au|"
    r"[Oo]mega|[Α-Ωα-ωµ])"
)
# What follows a name in a compound, or a number that is not the number of an atom: the name has ended.
_PROSE = (
    "(?:(?i:[a-z]{3,18}(?:ed|ing|ive|[ae]nt|[ai]ble)|and|array|as|blind|class|days?|dose|driven|drug|fed|fold|for|free|"
    "functional|gradient|group|hit|hours?|hourly|hrs?|immune|in|inhibitory|item|kda|kg|knockout|lead|levels?|like|mer|mg|"
    "min|minutes?|ml|mm|mo|months?|naive|naïve|neg|null|of|old|on|only|or|patients?|peak|phase|point|poor|pos|prone|"
    "receptors?|replete|resistance|response|rich|risk|side|signal|site|specific|stage|status|step|test|therapy|times?|to|"
    "transgenic|type|users?|versus|vessel|vs|way|weeks?|weekly|wk|years?|yrs?)|[dh]|"
    # What an antibody, a gene or a mouse is joined to.
    "AF\\d+|APC?|ATTO\\d+|Alexa|BFP|BSA|BV\\d+|CFP|Cas9|Cre(?:ER)?(?:T2?)?|Cy\\d(?:\\.\\d)?|DTR|ELISA|[Ee]?GFP|FITC|FLAG|Fc|G[Aa][Ll]4|"
    "GST|HA|HRP|His|IHC|IRES|IgG|KO|LacZ|Luc|MBP|OVA|PCR|PEG?|Pac|PerCP|RFP|RNAi|TK|TRAP|Tg|UAS|WT|YFP|mCherry|mRNA|qPCR|"
    "rtTA|s[ih]RNA|tTA|tdTomato)"
)
_NOT_PROSE = rf"(?!{_PROSE}(?![^\W_]))"
# Before a name in a compound: anti-CD20, non-HDL.
_BEFORE = ("anti", "Anti", "non", "Non", "pre", "Pre", "post", "Post", "pan", "Pan", "co", "Co", "pseudo", "un", "sub")
_BEFORES = "|".join(_BEFORE)

# A bracket in a chemical name, with brackets of its own.
_FLAT = r"[^\s()\[\]{}]"
_NESTED = rf"(?:{_FLAT}|[(\[{{]{_FLAT}{{1,40}}[)\]}}])"
_BRACKET = rf"[(\[{{]{_NESTED}{{1,60}}[)\]}}]"
# Where on a molecule something is, or how it is turned: 1,2- N- alpha- 17β- 2',3'- cis- tert- 99mTc-
_PLACE = (
    rf"(?:\d{{1,3}}(?:→\d)?(?:m?[A-Z][a-z]?|[a-zα-ω]|{_GREEK})?['′’″]{{0,2}}|[NOSC]\d{{1,2}}|{_GREEK}\d{{0,2}}|[A-Za-z]['′’]?"
    r"|DL|dl|LD|cis|trans|tert|sec|iso|nor|rac|meso|ortho|meta|para|syn|exo|endo|threo|erythro|all)"
)
_PLACES = rf"(?:{_PLACE}(?:,{_PLACE}){{0,8}}{HYPHEN})"
_TURN = r"\((?:[+±−-]|\+/-|[+-]/[+-]|\d{0,2}[RSEZ](?:,\d{0,2}[RSEZ*]){0,5}|[RS]{2}|\d→\d|[dlDL])\)"
_WORD = rf"{_NOT_PROSE}(?:[^\W_]|['′’](?=\w)|{_BRACKET}){{1,40}}"
_CHEMICAL_WORD = (
    r"(?=(?!(?:alone|line|side|dose|state|rate|wide|gene|one|date|late|machine|guide|done|zone|bone|phone|online)(?!\w))"
    r"[a-z]{3,30}(?:yl|oxy|ide|ine|ates?|ols?|one|ane|ene|yne|oic|ose|amide|azole|ium|oxin|acid|CoA)(?!\w))"
    r"[a-z]{3,30}"
)
_GOES_ON = rf"(?:{HYPHEN}(?:{_PLACES}{{1,4}}{_WORD}|{_CHEMICAL_WORD}|{_NOT_PROSE}[A-Z]{{2,6}}\d?(?!\w)))"
_LAST = rf"(?:{HYPHEN}(?:\d{{1,3}}[A-Za-z]?|{_GREEK}\d?[a-z]?|[A-Z]{{1,2}})(?!\w))?"

# An element or a small group of atoms, before its charge.
_ION = r"(?:[A-Z][a-z]?|NH4|HCO3|H2PO4|HPO4|PO4|SO[34]|NO[23]|CO3|ClO[1-4]|MnO4|CrO4|Cr2O7|OH|CN|SCN|BF4|PF6|H3O)"
_METAL = r"(?:Ca|Mg|Zn|Fe|Cu|Mn|Co|Ni|Cd|Pb|Hg|Ba|Sr|Sn|Pt|Pd|Cr|Al|La|Gd|Eu|Tb|Ti|Mo|Be|Bi|As|Se)"

# Up to six capitals and digits with at most two small letters between: CoV, xL, 293T, DRB1.
_GREEK_END = rf"(?:{_GREEK}\d{{0,2}}[A-Za-z]{{0,2}}|\d{{1,3}}{_GREEK})(?![^\W_])"
_SHORT = (
    r"(?:(?:[A-Z0-9]{1,6}[a-z]{0,2}[A-Z0-9]{0,5}|[a-z]{1,3}[A-Z][A-Z0-9]{0,4}[a-z]?|κ[A-Z])[αβγδεκζ]?[a-z]?)(?![^\W_])"
)

_UNIT = (
    r"(?:(?:[mnpfkcdµμu]|mc)?(?:g|l|L|mol|M|m|IU|U|Ci|Bq|Gy|Sv|Eq|eq|osm|Osm|Osmol|kat)|[kM]?cal|k?J|k?Pa|mmHg|Hz|IE|h|hrs?|"
    r"hours?|min|s|sec|d|days?|wk|weeks?|mo|months?|yr|years?|doses?|mm[23]|cm[23H]|m[23²³]|HPF|hpf|cells|beats|breaths|tabs?|"
    r"puffs?|mouse|rat|animal|kg|bw|BW|BSA|1\.73\s?m[2²]|100|10\^?\d{1,2})"
)

NAMES: Table = (
    (
        "1,2-dichloroethane 5-HT N-acetyl-cysteine L-DOPA alpha-tocopherol 17β-estradiol 2',3'-dideoxyinosine T-cell "
        "1-methyl-4-phenyl-1,2,3,6-tetrahydropyridine 4-(methylnitrosamino)-1-(3-pyridyl)-1-butanone 13-cis-retinoic "
        "S-adenosyl-L-methionine all-trans-retinoic omega-3 99mTc-sestamibi 8-OH-DPAT c-Myc "
        "cis-diamminedichloroplatinum(II) 17alpha-ethinylestradiol P-glycoprotein 5-HT1A beta-catenin p-tau",
        rf"(?:{_TURN}{HYPHEN}?)?{_PLACES}{{1,4}}{_WORD}{_GOES_ON}{{0,8}}{_LAST}",
    ),
    (
        "(+)-catechin (±)-MK-801 (S)-ibuprofen (2R,3S)-butanediol (-)-epinephrine (E)-stilbene",
        rf"{_TURN}{HYPHEN}{_WORD}(?:{HYPHEN}\d{{1,4}})?{_GOES_ON}{{0,8}}{_LAST}",
    ),
    (
        "poly-L-lysine methyl-β-cyclodextrin propan-2-ol amino-3-hydroxypropionic hexadeca-9,12-dienoic",
        rf"(?:poly|[a-z]{{0,20}}(?:yl|oxy|amino|azo|oxo|thio|nitro|chloro|fluoro|bromo|iodo)){HYPHEN}(?:{_PLACES}{{1,4}})"
        rf"{_WORD}{_GOES_ON}{{0,8}}{_LAST}"
        rf"|[a-z]{{2,20}}{HYPHEN}\d{{1,2}}(?:,\d{{1,2}}){{0,4}}{HYPHEN}(?:{_CHEMICAL_WORD}|ol|one|al|ene|yl)",
    ),
    (
        "acetyl-CoA methyl-prednisolone malonyl-CoA",
        rf"[A-Za-z][a-z]{{0,20}}(?:yl|oxy|amino|azo|oxo|thio|nitro|chloro|fluoro|bromo|iodo){HYPHEN}"
        rf"(?:{_CHEMICAL_WORD}|CoA|ACP)(?:{HYPHEN}[A-Za-z]{{1,3}}|{_GOES_ON}){{0,3}}",
    ),
    (
        "[3H]thymidine [18F]FDG [125I]-iodide (14)C-urea [3H](+)-pentazocine",
        rf"(?:\[\d{{1,3}}m?[A-Z][a-z]?(?:,\d{{1,3}}[A-Z])?\]|\(\d{{1,3}}m?\)[A-Z][a-z]?){HYPHEN}?(?:{_TURN}{HYPHEN}?)?"
        rf"(?:{_PLACES}{{0,4}}{_WORD}{_GOES_ON}{{0,8}}{_LAST})",
    ),
    (
        "Na+/K+-ATPase Na,K-ATPase H+/K+-ATPase Ca2+-ATPase Na(+)/K(+)-ATPase",
        r"(?:(?:Na|K|H|Ca|Mg|Cu|Zn|Cl)(?:\(?\d?[+-]\)?)?[,/]?){1,3}-ATPases?",
    ),
    (
        "alpha(1)-adrenoceptor beta(2)-agonist N(G)-nitro-L-arginine N(6)-methyladenosine alpha(v)beta(3)",
        rf"(?:(?:{_GREEK}\((?:\d{{1,2}}[A-Z]?|v|IIb|[LMVX])\)){{1,2}}|[NOSC]\((?:[A-Z]|\d{{1,2}}|omega|alpha|gamma|ω)\))"
        rf"(?:{HYPHEN}{_PLACES}{{0,4}}{_WORD}{_GOES_ON}{{0,8}})?",
    ),
    (
        "Ca(2+) Na(+) Cl(-) SO4(2-) HCO3(-) Fe(III) copper(II) O(2) H(2)O(2) PGE(2) GABA(A) NAD(P)H 5-HT(2A) B(12)",
        r"(?:\d{1,2}-|\d{1,3})?[A-Z][a-z]?[A-Z0-9]{0,5}(?:\((?:\d{1,3}[A-Z]?|[A-Z]|max|min|i)\)"
        r"[A-Z0-9]{0,4}[a-z]?(?:[+-](?!\w))?){1,4}"
        rf"|{_ION}\(\d{{0,2}}[+−-]\)"
        r"|[A-Za-z][a-z]{0,14}\((?:I{1,3}|I?V|VI{0,2}|0)\)",
    ),
    (
        "poly(I:C) poly(A) benzo[a]pyrene benzo(a)pyrene dibenz[a,h]anthracene bis(2-ethylhexyl) 25(OH)D "
        "di(2-ethylhexyl)phthalate "
        "1,25(OH)2D3",
        rf"(?:poly|bis|tris|di|tri|mono|oligo)(?:{_BRACKET})[a-z]{{0,30}}(?:{HYPHEN}{_CHEMICAL_WORD})?"
        r"|[a-z]{3,12}(?:\[[a-z0-9,]{1,7}\]|\([a-z](?:,[a-z])?\)(?=[a-z]{2,16}(?:ene|ine|ole|one)s?(?!\w)))[a-z]{3,20}"
        rf"|\d{{1,2}}(?:,\d{{1,2}})?{HYPHEN}?\(OH\)\d?-?(?:vitamin-)?D\d?",
    ),
    (
        "Ca2+ Na+ K+ Mg2+ Fe3+ Cl- HCO3- SO42- NH4+ Ca²⁺ Na⁺ O2•−",
        rf"(?:{_METAL}[1-6]|Na|K|Li|H|NH4|Ag|Cs|Rb|Tl|H3O|Cu|NADP?)[+]"
        r"|(?:Cl|Br|OH|HCO3|NO[23]|CN|ClO4|PO43|SO42|CO32|HPO42|H2PO4|S2|BF4|PF6|O2)[-−](?![\w>])|O2?[•·][-−⁻]|[•·]OH"
        rf"|{_ION}[¹²³⁴]?[⁺⁻]",
    ),
    (
        "TNF-alpha IFN-γ TGF-β1 NF-κB interferon-gamma IL-1beta PD-L1 HLA-DRB1 SARS-CoV-2 MERS-CoV BCR-ABL1 MDA-MB-231 "
        "SH-SY5Y 3T3-L1 Bcl-xL COX-2 IL-2 NT-proBNP GLP-1R vitamin-D HIV-1 hepatitis-B TNF-α",
        rf"(?!(?:{_BEFORES}){HYPHEN})(?:"
        rf"\d?[A-Z][a-z]{{0,2}}[A-Z0-9]{{0,6}}[a-z]?\d{{0,2}}(?:{HYPHEN}{_NOT_PROSE}(?:{_GREEK_END}|{_SHORT})){{1,4}}"
        rf"|[A-Za-z][a-z]{{1,20}}\d{{0,2}}(?:{HYPHEN}{_NOT_PROSE}(?:{_GREEK_END}|(?:[A-Z]\d{{0,3}}[A-Z]?|\d{{1,3}}[A-Z]?)(?![^\W_])|x[LS])){{1,4}})",
    ),
    (
        "mg/kg mg/kg/day mL/min/1.73m2 ng/mL µg/ml mmol/L IU/L cells/mm3 L/min 10^9/L g/dL mg/m2",
        rf"(?:x10\^?\d{{1,2}}|{_UNIT})(?:/{_UNIT}){{1,3}}",
    ),
    (
        "3'-UTR 5'-AMP 5′-nucleotidase 2'-deoxyadenosine 5'UTR",
        rf"[2-8]['′’](?:,[2-8]['′’]){{0,2}}{HYPHEN}?(?:{_WORD}{_GOES_ON}{{0,4}})",
    ),
)

JOINTS: Table = (
    (
        "p53 -/- | Apoe +/- | Tp53 +/-",
        r"(?<=\w)(?:[-+−–]/[-+−–]|\([-+−–](?:/[-+−–])?\))(?!\w)",
    ),
    (
        "5-HT - induced | IL-2 - mediated | Ca(2+) - free | Ca2+ - dependent | HER2 - positive | cisplatin - induced | "
        "[3H]thymidine - labelled | IL-1β - treated",
        rf"(?<=\w)[-\u2010\u2011–](?={_PROSE}(?![^\W_]))|(?<=[)\]+*%′'’⁺])[-\u2010\u2011–](?=[^\W\d_])",
    ),
    (
        "Na+ / K+ | Ca2+ / calmodulin | Ca(2+) / calmodulin | amlodipine / valsartan",
        r"(?<=[)\]+′'’⁺-])/(?=[^\W_])",
    ),
    ("doxorubicin + cyclophosphamide | CD4 + CD25 +", r"(?<=\w)\+(?=[A-Za-z])"),
)

# Not inside a word, and not after a hyphen unless what is before it only stands before names.
_AFTER_BEFORE = "|".join(rf"(?<=(?<!\w){word}-)" for word in _BEFORE)
_START = rf"(?:(?<![^\W_])(?<![\w)\]+][-\u2010\u2011])|{_AFTER_BEFORE}|(?<=\d)(?=[a-zµμ]{{1,3}}/))"

GROUP = make_group(
    NAMES,
    JOINTS,
    start=_START,
    end=r"(?![^\W_])",
    suffixes=(r"(?<=[^\W\d_]{3})\+$",),
    # A unit at the end of a sentence: 75 g.
    dropped=(r"[a-z]\.",),
)
