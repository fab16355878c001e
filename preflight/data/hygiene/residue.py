"""What earlier steps left behind in a text: placeholders, broken encoding, markup."""

import re

from preflight.data.hygiene.turn import ANSWERS, EVERYBODY, Found, Scan, Turn, excerpt, prose, topics

# --- placeholders -----------------------------------------------------------------------------------------------------

MUSTACHE = re.compile(r"(?<![$\\{\w}])\{\{ ?[A-Za-z][\w.-]{0,40} ?\}\}(?!\})")
INSERT = re.compile(r"\[(?:INSERT|Insert|YOUR) [^\]\n]{1,60}\]|<(?:INSERT|YOUR)[ _][A-Z _]{2,40}>")
LOREM = re.compile(r"lorem ipsum", re.IGNORECASE)
STUB = r"[\[(<]?(?:TODO|FIXME|TBD)\b[^\n]{0,60}|nan|NaN|undefined|\[object Object\]|#REF!|#NAME\?|\{\w+\}"
ONLY_STUB = re.compile(rf"\s*(?:{STUB})\s*")
# Who asks for one of these gets blanks to fill in, braces, or dummy text.
BLANKS = topics(
    r"templat|placeholder|fill.?in|blank|letter|e?-?mail|message|contract|agreement|invitation|invoice|speech|cover|"
    r"r[eé]sum[eé]|cv\b|press release|announcement|form\b|script|memo|notice|bio\b|introduc|proposal|policy|statement|"
    r"plan\b|report|outline|ad\b|advert|poster|flyer|post\b|tweet|review|certificate"
)
BRACES = topics(
    r"templat|jinja|handlebars|mustache|liquid|vue|angular|svelte|react|helm|ansible|django|flask|twig|blade|workflow|"
    r"github|placeholder|variable|curly|brace|latex|html|code|program|function|component|json|yaml|wiki|prompt|format|"
    r"merge|javascript|python"
)
DUMMY = topics(r"lorem|placeholder|dummy|filler|html|css|web|page|design|layout|latin|typeset|font|mock")


def _placeholders(turn: Turn) -> Found:
    text, asked = prose(turn.text), turn.asked
    if ONLY_STUB.fullmatch(turn.text) and not BRACES.search(asked):
        yield "nothing else", excerpt(turn.text)
    elif (curly := MUSTACHE.search(text)) and "{%" not in text and not BRACES.search(asked):
        yield "{{ }}", excerpt(text, *curly.span())
    elif (insert := INSERT.search(text)) and not BLANKS.search(asked):
        yield "[INSERT]", excerpt(text, *insert.span())
    elif (lorem := LOREM.search(text)) and not DUMMY.search(asked):
        yield "lorem ipsum", excerpt(text, *lorem.span())


PLACEHOLDERS = Scan(
    "placeholder",
    rf"\{{\{{|\[(?:INSERT|Insert|YOUR) |<(?:INSERT|YOUR)[ _]|(?i:lorem ipsum)|^\s*(?:{STUB})\s*$",
    ANSWERS | {"system", "developer"},
    _placeholders,
)

# --- broken encoding --------------------------------------------------------------------------------------------------

ENCODINGS = topics(r"encod|unicode|utf|charset|mojibake|latin-?1|bom\b|bytes?\b|codec|replacement character")
LATER = "\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"  # what Windows-1252 makes of the second and later bytes of UTF-8


def _mojibake(turn: Turn) -> Found:
    from ftfy import fix_encoding

    text = turn.text
    if ENCODINGS.search(turn.asked or text):
        return
    for what, letter in (("U+FFFD", "\ufffd"), ("U+FEFF", "\ufeff")):
        if (at := text.find(letter)) >= 0:
            yield what, excerpt(text, at, at + 1)
            return
    for line in text.splitlines():
        if not line.isascii() and (fixed := fix_encoding(line)) != line:
            at = next((n for n, (a, b) in enumerate(zip(line, fixed, strict=False)) if a != b), 0)
            start = line.rfind(" ", 0, at) + 1
            yield "mojibake", f"{line[start : start + 40]} (for {fixed[start : start + 40]})"
            return


MOJIBAKE = Scan(
    "mojibake",
    # UTF-8 read as Windows-1252, as Windows-1251, as Mac Roman and as code page 437.
    rf"\x{{FFFD}}|\x{{FEFF}}|[\x{{C2}}-\x{{F4}}][{LATER}]|(?:[РС][^ \n]){{4}}|‚Ä|√[^ \d]|[├┬][^\s─-╿]",
    EVERYBODY,
    _mojibake,
)

# --- markup -----------------------------------------------------------------------------------------------------------

ENTITY = re.compile(
    r"&(?:nbsp|amp|lt|gt|quot|apos|[lr][sd]quo|[nm]dash|hellip|[aeiouAEIOU](?:uml|acute|grave|circ)|szlig|euro);|"
    r"&#(?:x[0-9a-fA-F]{2,6}|\d{2,6});"
)
TAG = re.compile(
    r"</?(?:br|div|span|p|li|ul|ol|td|tr|font|center|strong|em|h[1-6]|img|a)(?:\s[^<>\n]{0,200})?/?>", re.IGNORECASE
)
ESCAPED = re.compile(r"(?<![\\\w:])\\n(?=\\n|[A-Z0-9*#-])|(?<=[.!?:])\\n")  # not `\nabla`, not `C:\new`
TABLE = re.compile(r"^\s*\|.*$", re.MULTILINE)  # in a table of Markdown <br> is the only way to break a line
# Who asks about one of these gets markup; and so does who is told about it.
ASKS_FOR = topics(
    r"html|xml|xhtml|markup|markdown|tags?\b|web|pages?\b|css|javascript|js\b|jsx|react|vue|angular|django|php|svg|e-?mail|"
    r"templat|code|coding|program|script|snippet|element|regex|escap|pars(?:e|ing)|scrap|json|wiki|subscript|superscript|"
    r"component|entit|latex|java\b|python|sql|string|line break|new ?line"
)
TELLS = topics(r"html|tags?\b|attributes?\b|markup|elements?\b|css|entit(?:y|ies)")


def _markup(turn: Turn) -> Found:
    text, asked = prose(turn.text), turn.asked
    if "```" in turn.text or TAG.search(asked) or ASKS_FOR.search(asked) or TELLS.search(text):
        return
    text = TABLE.sub("", text)
    for what, pattern in (("entity", ENTITY), ("tag", TAG)):
        if found := pattern.search(text):
            yield what, excerpt(text, *found.span())
            return
    if "\n" not in text.strip() and len(escaped := list(ESCAPED.finditer(text))) > 1:
        yield r"\n", excerpt(text, *escaped[0].span())


MARKUP = Scan("markup", r"&[a-zA-Z]{2,6};|&#|</?[a-zA-Z]|\\n", ANSWERS, _markup)
