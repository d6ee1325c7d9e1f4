"""The rules for software engineering: `checkout-api`, `/api/v2/orders/{id}`, `--max-retries`, `OrderService/GetOrder`.

Each rule begins only where a name can begin (`_START`): otherwise a long chunk would be tried from each of its
characters.
"""

import re

from spacy_domain_ner.tokenization.group import HIDDEN, Group

# Not inside a name, and not right after a closing mark: in `Redis`/Memcached, the slash is between two names. A tag of
# HTML that opens is a beginning, too.
_START = (
    r"(?:(?<![\w.@/:{}<>$%~+*-])(?<![\w.][`\"')\]])|(?<=[\w\"]>)(?:(?<=\">)|(?<=\b[bip]>)(?<!/.>)"
    r"|(?<=\b(?:br|dd|dt|em|li|td|th|tt)>)(?<!/..>)|(?<=\b(?:kbd|pre)>)(?<!/...>)|(?<=\b(?:code|samp|span)>)(?<!/....>)"
    r"|(?<=\bstrong>)(?<!/......>)))"
)

# A placeholder for a part of a path: {id}, {{id}}, ${ID}, $(ID), <name>; between slashes also [id], (id), (?P<id>\d+).
_PLACEHOLDER = (
    r"(?:\$?\{{1,2}[^\s{}/]*\}{1,2}|<[^\s<>/]+>|\$\(\w+\)|\(\?P?<\w+>[^\s()]*\)"
    r"|(?<=/)(?:\[(?:\[\.{3}\w+\]|(?:\.{3})?\w+)\](?!\()|\(\w+\)(?=/))|(?<=\}),(?=\{))"
)
# A star stands for a segment or a part of one; after it, it is Markdown's (**/api/v1**).
_PATH = rf"(?:[\w.%~+@:$!/]|-(?!>)|\*(?=[\w/.-])|(?<=[/=:])\*{{1,2}}|(?<=/\.)\*|{_PLACEHOLDER})*(?<=[\w}}>*/\])])"
_QUERY = (
    rf"(?:\?(?:[\w.%~+@:$&;,/]|[=-](?!>)|\[[\w.-]*\]|\*(?=[\w&,])|(?<==)\*|{_PLACEHOLDER})*(?<=[\w}}>\]*=])"
    r"(?:(?<==)(?:…|\.{3}))?)?"
)

# What stands for a host or the beginning of a URL: {{API_URL}}, {base}, ${HOST}, $(HOST), $HOST, %HOST%, <host>.
_HTML = (
    "a|abbr|b|body|br|button|code|dd|del|div|dl|dt|em|h[1-6]|head|hr|html|i|img|ins|kbd|li|mark|ol|p|pre|s|samp|small|"
    "span|strong|sub|summary|sup|table|tbody|td|th|thead|tr|tt|u|ul"
)
_TEMPLATE = (
    r"(?:\$?\{{1,2}(?!\d+\})[\w.:$-]+\}{1,2}|\$\(\w+\)|\$[A-Za-z_]\w*(?!\w)|%[A-Za-z_]\w*%|%\(\w+\)s|%[sdv](?!\w)"
    rf"|<(?!(?:{_HTML})>)[\w.:-]+>)"
)
# A variable of a shell may also be a folder ($HOME/bin), so its name or what follows must tell that this is a URL.
_TELLING = (
    r"(?=[${%(]*\w*(?i:addr|api|base|backend|domain|endpoint|gateway|host|ingress|origin|proxy|server|service|site|ur[il]"
    r"|webhook)|[^\s/]{0,99}(?::\d+|/(?:api|v\d\w*|health\w*|metrics|graphql)(?![\w.-])))"
)
_HOST = rf"(?:(?={{{{|<|{{(?![A-Z\d_]+}}))|(?=[{{$%]){_TELLING}){_TEMPLATE}(?:[\w.:-]|{_TEMPLATE}){{0,60}}"

# The parts of an English compound with a name in it: "Kafka-based", "non-Kubernetes", "redis-backed". The name ends
# inside the compound, so it must be a token.
_PROSE_LAST = (
    "and|as|aware|backed|based|bound|capable|compatible|compliant|controlled|dependent|driven|enabled|facing|first|"
    "flavou?red|for|free|friendly|generated|heavy|hosted|independent|induced|initiated|internal|less|level|like|linked|"
    "maintained|managed|native|of|only|or|oriented|owned|powered|provided|ready|related|side|specific|style|styled|to|"
    "triggered|vs|wide|wise"
)
_PROSE_FIRST = "anti|ex|inter|intra|multi|non|per|post|pre|re|self|semi|un"
_LOWER = r"[a-z0-9_][a-z0-9_.]*(?<![.])"
_UPPER = r"[A-Z][\w.]*(?<![.])"
_VERSION = r"(?:@[\dv^~][\w.^~+-]*(?<=\w))?"
# Enough top-level domains to tell the name of a host from that of a file or a library (Node.js).
_DOMAIN = (
    r"(?:[\w-]+\.)+(?:ai|app|at|au|be|biz|br|ca|ch|cloud|cn|co|com|corp|cz|de|dev|dk|edu|es|eu|example|fi|fr|gov|ie|in|"
    r"info|internal|intranet|invalid|io|it|jp|kr|lan|local|localhost|me|mil|net|nl|no|online|org|pt|se|sh|site|svc|"
    r"tech|test|tv|uk|us|xyz)"
)
_IP = r"\d{1,3}(?:\.\d{1,3}){3}"

# The verbs that RPC methods begin with, as in GetOrder; and the words that begin a sentence after a missing blank.
_VERB = (
    "(?:Abort|Acquire|Activate|Add|Allocate|Apply|Approve|Assign|Authorize|Batch|Begin|Cancel|Check|Claim|Close|Commit|"
    "Complete|Confirm|Count|Create|Deactivate|Delete|Describe|Disable|Enable|Ensure|Evict|Execute|Export|Fetch|Find|"
    "Finish|Generate|Get|Has|Import|Insert|Invoke|Is|Issue|List|Load|Lookup|Mark|Merge|Move|New|Notify|Patch|Ping|Poll|"
    "Process|Publish|Pull|Push|Put|Query|Read|Receive|Record|Refresh|Register|Release|Remove|Renew|Replace|Reserve|Reset|"
    "Resolve|Resume|Retry|Revoke|Rotate|Run|Save|Say|Schedule|Search|Send|Set|Start|Stop|Stream|Submit|Subscribe|Sync|"
    "Undelete|Unregister|Unsubscribe|Update|Upload|Upsert|Validate|Verify|Wait|Watch|Write)"
)
_OPENER = (
    "(?:A|After|All|An|And|As|At|Before|But|By|For|From|He|How|I|If|In|It|Its|No|Not|Now|On|Once|Or|Our|So|That|The|"
    "Then|There|These|They|This|To|We|What|When|Where|While|With|You)"
)

NAMES: tuple[str, ...] = (
    # https://api.acme.io/v1/charges, postgres://db:5432/orders
    rf"[A-Za-z][A-Za-z0-9+.-]*://(?:\[[0-9a-fA-F:.]{{2,45}}\])?{_PATH}{_QUERY}",
    # /api/v2/orders/{id}?expand=items, /users/:id, /wp-json/*, /-/healthy, /boards/[id]
    rf"/(?=[\w{{<$:*@.~%]|-/|\[\[?[\w.]+\]|\(\w+\)/|\?\w+=){_PATH}{_QUERY}",
    # _matrix/client/v3/account/whoami, api/v1/users, v2/keys/{id}, .well-known/openid-configuration
    rf"(?:_\w|apis?/|v\d+(?:(?:alpha|beta)\d+)?/|\.well-known/|rest/(?=api/|v\d)|oauth2?/(?=v\d|authorize|token))"
    rf"{_PATH}(?<=[\w}}>*]){_QUERY}",
    # {{API_URL}}/api/v1, $HOST:8080/api, <host>/v1, {{scheme}}://{{host}}/v1
    rf"{_HOST}/(?!>){_PATH}{_QUERY}",
    # localhost/api/v1, 10.0.0.5/api/v1
    rf"(?:localhost|{_IP})/(?=[A-Za-z_{{]){_PATH}{_QUERY}",
    # localhost:8080/api/v1, checkout-api:8080/v1/orders, [::1]:8080/x, :8080/metrics
    rf"(?:[A-Za-z][\w.-]*|{_IP}|\[[0-9a-fA-F:.]{{2,45}}\])?:\d{{2,5}}/(?!\d|(?:tcp|udp|sctp)(?!\w)){_PATH}{_QUERY}",
    # openpolicyagent.org/webhook, nvcr.io/nvidia/pytorch:24.01-py3, *.acme.com/api, api.acme.xyz/v1
    rf"(?:(?:\*\.)?{_DOMAIN}(?::\d+)?/|(?:[\w-]+\.)+[\w-]+/(?=(?:api|v\d+)(?:/|(?![\w.-]))))"
    rf"{_PATH}(?<=[\w}}>*]){_QUERY}",
    # api.{region}.acme.com/v1
    rf"[A-Za-z][\w.-]{{0,99}}(?:\$?\{{{{1,2}}[\w.-]+\}}{{1,2}}[\w-]*(?:\.[\w-]+)+)+(?::\d+)?/{_PATH}{_QUERY}",
    # orders.v1.OrderService/GetOrder, OrderService/GetOrder
    rf"(?:[a-z]\w*\.)+[A-Z]\w*/[A-Z]\w*|[A-Z]\w*/{_VERB}[A-Z]\w*|[A-Z]\w*Service/[A-Z]\w*(?<!Service)(?<!API)",
    # --max-retries, -javaagent, -XX:+UseG1GC
    r"--?[A-Za-z][\w.]*(?:-[\w.]+)*(?<![.])|-XX:[+-]?\w+",
    # @babel/core, @acme/web-platform, @sre-oncall
    rf"@[A-Za-z][\w.-]*(?:/[\w.-]+)?(?<=\w){_VERSION}",
    # checkout-api, redis-cache-02:6379, react-router-dom@6.4
    rf"(?!(?:{_PROSE_FIRST})-)(?=[\d_.-]*[a-z]){_LOWER}(?:-(?!(?:{_PROSE_LAST})(?![\w-])){_LOWER})+(?::\d+|{_VERSION})",
    # X-Forwarded-For, SIG-Release
    rf"{_UPPER}(?:-(?:{_UPPER}|\d[\w.]*(?<![.])))+",
)

# Characters that show nothing: within a name they do not divide it, at its ends they do not belong to it.
_NAMES = (re.sub(r"\[(?=\\w|A-Z|a-z)", f"[{HIDDEN}", name) for name in NAMES)
NAMES = tuple(f"(?![{HIDDEN}])(?:{name})(?<![{HIDDEN}])" for name in _NAMES)

# A method of an RPC with a point before it: sa.AddPrecertificate, orders.v1.OrderService.GetOrder, OrderService.Get.
RPC = (
    rf"(?=[A-Za-z]\w*\.[A-Za-z])(?:(?:[A-Za-z]\w*\.)+{_VERB}[A-Z]\w*"
    rf"|(?:(?:[a-z]\w*\.)+[A-Z]\w*|[A-Z]\w*(?:Api|API|Client|Server|Service))\.(?!{_OPENER}(?!\w))[A-Z]\w*)"
)
# The beginning of a name that spaCy would take for punctuation.
_HEAD = rf"(?=[{{<$%:[*])(?:{_HOST}|(?:\[[0-9a-fA-F:.]{{2,45}}\])?:\d{{2,5}}(?=/\D)|\*\.[\w.-]+)/(?!>)"

# Characters that never occur inside a name. A run of them is one token: spaCy skips an infix that directly follows
# another one.
JOINTS = (
    r"(?<=[\w}>\])*/…])(?:->|=>)|(?<=\w)(?:<-|&&|\|\||::|[!~]=|[-=]{2,}>)",
    # `repository`-queue, "Redis"/Memcached
    r"(?<=\w)[`\")\]]+[-/](?=\w)",
    rf"(?!{_START}{_HEAD})(?:[\"`()\[\]{{}}<>|;&=\\“”«»—–→←⇒•·]|'(?=[:,;=)\]])|/(?=[`\"*-])|,(?=[^\d\s])"
    rf"|:(?=[/\"`'\[({{]))(?:(?!{_START}{_HEAD})[\"`'()\[\]{{}}<>|;,:&=\\“”«»—–→←⇒•·*]|/(?=[`\"*]))*",
    # user@host, but not package@1.2
    r"(?<=\w)@(?=[A-Za-z\"])",
    r"(?<=\w)\+(?=[A-Za-z])",
)

_NAME_END = r"(?![\w@]|-(?!>)|[.:](?=\w))"
# Most words are passed over without trying every pattern: a name has one of these characters not far from its start.
# Looking for it up to the end of a long chunk, wherever a name can start, would take time by the square of its length.
_HAS_MARK = r"(?=[^/@-]{0,99}[/@-])"
_WHOLE = rf"{_HAS_MARK}(?:{'|'.join(NAMES)})\Z"
# A name with a closing mark of its own that ends a chunk in which it is joined to other text (url=/orders/{{id}}).
_NAME_LAST = rf"(?=[^/]{{0,300}}/)(?=[\s\S]{{0,300}}[}}>\])*.…]\Z)[^\s]*?{_START}{_HAS_MARK}(?:{'|'.join(NAMES)})\Z"

GROUP = Group(
    heads=(rf"(?={_WHOLE})", r"(?=_\w+/)", rf"(?={_HEAD})"),
    tails=(_WHOLE, _NAME_LAST),
    names=rf"{_START}(?:{_HAS_MARK}(?:{'|'.join(NAMES)})|{RPC}){_NAME_END}",
    joints=JOINTS,
)
