"""The rules for legal text: `1983(b)`, `6(1)(f)`, `F.3d`, `S.Ct.`, `2:19-cv-00123` are one token each.

spaCy's own rules split a hyphen between two names (`Respondent-Balbir Singh`), and no rule here keeps it.
"""

from spacy_domain_ner.tokenization.group import Table, make_group

# A part of a provision in brackets: (b) (1) (iv) (1A) (aa)
_PART = r"(?:\((?:\d{1,3}[A-Za-z]{0,2}|[A-Za-z]{1,2}|[ivxlcIVXLC]{1,6}|[a-z]\d{1,2}|[a-z]-\d)\))"
_WORD = r"(?:§{1,3}|¶{1,2}|[Ss]{1,2}\.|[Aa]rts?\.|[Ss]ecs?\.|[Rr]egs?\.|[Rr]r?\.|[Cc]ls?\.|[Pp]aras?\.|[Oo]\.)"
_NUMBER = r"\d{1,5}[A-Za-z]{0,3}"
# What the names of reports, codes and rules of court are abbreviated to, besides single capitals.
_ABBREVIATION = (
    r"(?:[A-Z]|Acts?|Adm|Admin|Ann|App|Apps|Appx|Art|Ass|Bankr|Bus|Cal|Cas|Ch|Cir|Civ|Cl|Co|Code|Cod|Com|Comm|Comp|Cons|Const|"
    r"Corp|Cr|Cri|Crim|Crl|Ct|Cth|Cust|Dec|Del|Dig|Dist|Div|Ed|Educ|Eng|Eq|Evid|Ex|Exch|Fam|Fed|Gen|Gov|Govt|Ill|Ind|Ins|"
    r"Int|Jur|Lab|Leg|Misc|Mass|Md|Mich|Minn|Mun|Ohio|Op|Pa|Pat|Pen|Ph|Prac|Prob|Proc|Pub|Rec|Reg|Rep|Res|Rev|Rptr|Ry|Sess|So|"
    r"Stat|Sup|Supp|Tax|Tex|Traf|Trib|Va|Vt|Wash|Wis|Wm)"
)
_ORDINAL = r"\d{1,2}(?:d|st|nd|rd|th)"
# Before a person's name.
_TITLES = ("SRI", "SHRI", "SMT", "KUM", "ADV", "DR", "MR", "MRS", "MS", "HON", "JUSTICE", "PROF")
_AFTER_TITLE = "|".join(rf"(?<=(?<![^\W_]){title})" for title in _TITLES)

NAMES: Table = (
    (
        "1983(b) §1983(b) 12(b)(6) 6(1)(f) 240.10b-5(b) 1.482-1(c)(2)(ii) 80-IA(4) 2(2) s.55(g) 13(1)(ia) 501(c)(3) "
        "924(c)(1)(A)(i)",
        rf"{_WORD}?{_NUMBER}(?:[.:–-](?:{_NUMBER}|[A-Z]{{1,3}})){{0,4}}{_PART}{{1,8}}(?:[-–]{_PART})?",
    ),
    (
        "§1983 §§12-14 §2-207 §1.482-1 §302/34 ¶12 §78j §10b-5",
        r"(?:§{1,3}|¶{1,2})\d{1,5}[A-Za-z]{0,3}(?:[-.:/–]\d{1,5}[A-Za-z]{0,3}){0,4}",
    ),
    (
        "W.P.(C) SLP(C) CS(OS) O.M.P.(COMM) W.P.(Crl.) C.R.P.(PD) CRL.M.C.(C) M.A.(E) RFA(OS)",
        r"(?:[A-Z][A-Za-z]{0,4}\.?){1,5}\((?:[A-Z]{1,4}|Crl\.?|Cri\.?|Civil|Civ\.?|Comm\.?)\)",
    ),
    (
        "F.3d F.Supp.2d L.Ed.2d N.E.2d P.3d So.2d Cal.App.4th F.4th A.2d",
        rf"(?:{_ABBREVIATION}\.){{1,5}}{_ORDINAL}",
    ),
    (
        "S.Ct. Cr.P.C. Cal.Rptr. U.S.C. C.F.R. Fed.R.Civ.P. F.Supp. Crl.A. A.I.R. L.Ed. Pa.Super.Ct.",
        rf"{_ABBREVIATION}\.(?:(?:{_ABBREVIATION}|Super)\.){{1,5}}",
    ),
    (
        "2:19-cv-00123 1:20-cr-00188-JSR 3:21-bk-10234-MJ 19-cv-1234 2021-CV-0042 22-mc-80 CV-2019-00123 CR-18-1234",
        r"(?:\d{1,2}:)?\d{2,4}-[A-Za-z]{2,4}-\d{1,6}(?:-[A-Z]{1,4}){0,3}|[A-Z]{2,4}-\d{2,4}-\d{1,6}(?:-[A-Z]{1,4}){0,2}",
    ),
    ("19-1392 21-476 05-1120 A-22-18", r"(?:[A-Z]-)?\d{2}-\d{2,6}(?![-/.]?\d)"),
    ("ECLI:EU:C:2014:317 ECLI:DE:BGH:2020:250520UVIZR252.19.0", r"ECLI(?::[A-Z0-9.]{1,30}){2,5}(?<!\.)"),
    (
        "2016/679/EU 95/46/EC 2006/112/EC 16/2003/CE C-131/12 T-612/17 C-311/18P C‑131/12",
        r"\d{1,4}/\d{1,5}/(?:EU|EC|EEC|EG|EWG|CE|UE|JHA|CFSP|Euratom)|[CTFE][-\u2010\u2011–]\d{1,4}/\d{2}P?",
    ),
    (
        "M/s. M/s M/S r/w S/o D/o C/o v/s V/s. w.e.f. w/o",
        r"M/[sS]\.?|[rR]/[wW]\.?|[SsDdWwCcRr]/[oO]\.?|[Vv]/[sS]\.?|w\.e\.f\.",
    ),
    ("v. vs. Vs. VS. V. Art. Arts. Sec. Reg. Cl. Para. Sch.", r"[Vv][Ss]?\.|(?:Arts?|Secs?|Regs?|Cl|Paras?|Schs?)\."),
)

JOINTS: Table = (
    ("5(1) , 6(2)", r"(?<=\)),(?=\d)"),
    ("u / s.143(1) | 302 / 34(2)", r"(?<=\w)/(?=(?:ss?\.)?\d{1,4}[A-Za-z]{0,2}\()"),
    ("SRI . ROY | SMT . DEEPA | DR . RAO", rf"(?:{_AFTER_TITLE})\.(?=[A-Z])"),
    ("6(1) - 6(4)", r"(?<=[).])[-\u2010\u2011](?=\w)"),
)

_START = r"(?<![^\W_])(?<![^\W_][-–\u2010\u2011&'’])(?<!\d\.)(?<!\d:)"

GROUP = make_group(NAMES, JOINTS, start=_START, end=r"(?![^\W_])")
