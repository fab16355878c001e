"""What earlier steps left behind in a text: placeholders, broken encoding, markup."""

import re

from preflight.data.hygiene.turn import ANSWERS, EVERYBODY, Found, Scan, Turn, excerpt, prose, topics

# --- placeholders -----------------------------------------------------------------------------------------------------

MUSTACHE = re.compile(r"(?<![$\\{\w}])\{\{ ?[A-Za-z][\w.-]{0,40} ?\}\}(?!\})")
INSERT = re.compile(r"\[(?:INSERT|Insert|YOUR) [^\]\n]{1,60}\]|<(?:INSERT|YOUR)[ _][A-Z _]{2,40}>")
LOREM = re.compile(r"lorem ipsum", re.IGNORECASE)
STUB = re.compile(
    r"\s*[\[(<]?(?:(?:TODO|FIXME|TBD)\b.{0,60}|nan|NaN|undefined|\[object Object\]|#REF!|#NAME\?|\{\w+\})\s*"
)
# Who asks for one of these may get blanks to fill in.
BLANKS = topics(
    "templat", "placeholder", "fill.?in", "blank", "letter", "e?-?mail", "message", "contract", "agreement", "invitation",
    "invoice", "speech", "r[eé]sum[eé]", "cv\\b", "cover", "press release", "announcement", "form\\b", "script", "memo",
    "notice", "bio\\b", "introduc", "proposal", "policy", "statement", "plan\\b", "report", "outline", "ad\\b", "advert",
    "poster", "flyer", "post\\b", "tweet", "review", "certificate",
)  # fmt: skip
CURLY = topics(
    "templat", "jinja", "handlebars", "mustache", "liquid", "vue", "angular", "svelte", "react", "helm", "ansible", "django",
    "flask", "twig", "blade", "workflow", "github", "placeholder", "variable", "curly", "brace", "latex", "html", "code",
    "program", "function", "component", "json", "yaml", "wiki", "prompt", "format", "merge", "javascript", "python",
)  # fmt: skip
DUMMY = topics(
    "lorem", "placeholder", "dummy", "filler", "html", "css", "web", "page", "design", "layout", "latin", "typeset", "font",
    "mock",
)  # fmt: skip


def _placeholders(turn: Turn) -> Found:
    text, asked = prose(turn.text), turn.asked
    if STUB.fullmatch(turn.text) and not CURLY.search(asked):
        yield "nothing else", excerpt(turn.text)
    elif (curly := MUSTACHE.search(text)) and "{%" not in text and not CURLY.search(asked):
        yield "{{ }}", excerpt(text, *curly.span())
    elif (insert := INSERT.search(text)) and not BLANKS.search(asked):
        yield "[INSERT]", excerpt(text, *insert.span())
    elif (lorem := LOREM.search(text)) and not DUMMY.search(asked):
        yield "lorem ipsum", excerpt(text, *lorem.span())


PLACEHOLDERS = Scan(
    "placeholder",
    r"\{\{|\[INSERT|\[Insert|\[YOUR|<INSERT|<YOUR|(?i:lorem ipsum)|^\s*[\[(<]?(?:TODO|FIXME|TBD)|^\s*(?:nan|NaN|undefined|"
    r"\[object Object\]|#REF!|#NAME\?|\{\w+\})\s*$",
    ANSWERS | {"system", "developer"},
    _placeholders,
)

# --- mojibake ---------------------------------------------------------------------------------------------------------

ENCODINGS = topics(
    "encod",
    "unicode",
    "utf",
    "charset",
    "mojibake",
    "latin-?1",
    "bom\\b",
    "bytes?\\b",
    "codec",
    "replacement character",
)
BYTES = "\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"  # what Windows-1252 makes of the second and later bytes of UTF-8


def _mojibake(turn: Turn) -> Found:
    from ftfy import fix_encoding

    if ENCODINGS.search(turn.asked) or turn.role not in ANSWERS and ENCODINGS.search(turn.text):
        return
    text = turn.text
    for what, letter in (("U+FFFD", "\ufffd"), ("U+FEFF", "\ufeff")):
        if (at := text.find(letter)) >= 0:
            yield what, excerpt(text, at, at + 1)
            return
    for line in text.splitlines():
        if not line.isascii() and (fixed := fix_encoding(line)) != line:
            at = next((n for n, (a, b) in enumerate(zip(line, fixed, strict=False)) if a != b), 0)
            start = max(line.rfind(" ", 0, at), 0)
            yield "mojibake", f"{excerpt(line[start : start + 40])} for {excerpt(fixed[start : start + 40])}"
            return


MOJIBAKE = Scan(
    "mojibake",
    rf"\x{{FFFD}}|\x{{FEFF}}|[\x{{C2}}-\x{{F4}}][{BYTES}]|(?:[РС][^ \n]){{4}}|‚Ä|√[^ \d]|[├┬][^\s─-╿]",
    EVERYBODY,
    _mojibake,
)

# --- markup -----------------------------------------------------------------------------------------------------------

ENTITY = re.compile(
    r"&(?:nbsp|amp|lt|gt|quot|apos|rsquo|lsquo|rdquo|ldquo|ndash|mdash|hellip|eacute|uuml);|&#x?[0-9a-fA-F]{2,6};"
)
TAG = re.compile(
    r"</?(?:br|div|span|p|li|ul|ol|td|tr|font|center|strong|em|h[1-6]|img|a)(?:\s[^<>\n]{0,200})?/?>", re.IGNORECASE
)
ESCAPED = re.compile(r"(?<![\\\w:])\\n(?=\\n|[A-Z0-9*#-])|(?<=[.!?:])\\n")
TABLE = re.compile(r"^\s*\|.*$", re.MULTILINE)  # in a table of Markdown <br> is the only way to break a line
MARKUP = topics(
    "html", "xml", "xhtml", "markup", "markdown", "tags?\\b", "web", "pages?\\b", "css", "javascript", "js\\b", "jsx",
    "react", "vue", "angular", "django", "php", "svg", "e-?mail", "template", "code", "coding", "program", "script",
    "snippet", "element", "regex", "escap", "pars(?:e|ing)", "scrap", "json", "wiki", "subscript", "superscript",
    "component", "entit", "latex", "java\\b", "python", "sql", "string", "line break", "new ?line",
)  # fmt: skip


SAYS_SO = topics(r"html|tags?\b|attributes?\b|markup|elements?\b|css|entit(?:y|ies)")


def _markup(turn: Turn) -> Found:
    text = prose(turn.text)
    if "```" in turn.text or TAG.search(turn.asked) or MARKUP.search(turn.asked) or SAYS_SO.search(text):
        return
    text = TABLE.sub("", text)
    for what, pattern in (("entity", ENTITY), ("tag", TAG)):
        if found := pattern.search(text):
            yield what, excerpt(text, *found.span())
            return
    if "\n" not in text.strip() and len(escaped := list(ESCAPED.finditer(text))) > 1:
        yield "\\n", excerpt(text, *escaped[0].span())


RESIDUE = Scan("markup", r"&[a-zA-Z]{2,6};|&#|</?[a-zA-Z]|\\n", ANSWERS, _markup)
