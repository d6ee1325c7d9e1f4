"""Texts that mean something in HTML, in Markdown, or in a template, to be shown as they are."""

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror="alert(1)">',
    "' & &amp; &lt;b&gt;",
    "{{ 7*7 }} {% if x %} {# c #}",
    "a | b \\| c `d` **e** [f](javascript:alert(1))",
    "</style></title></svg><script>1</script>",
    "</script><!--<script> --> ]]>\u2028\u2029",
    "`` ` ``` @dora #12 https://example.org",
    "Zürich 東京 🚀",
]
