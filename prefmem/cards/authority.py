"""Rules that would give an agent orders instead of telling it how to answer.

A preference says how to answer. One about tools, recipients, addresses, money, permissions,
secrets, other people's data, hiding things, what the agent is, or whom to favour waits in
quarantine until the user confirms it outside the model; so does one that changes nothing on the
closed list of `prefmem.defence.facets`. This is a second line behind the origin of a rule (verbatim
words of the user): a short, polite, harmful wish cannot be told from its words alone.
"""

import re

from prefmem.defence.facets import facet_of
from prefmem.defence.privacy import PIIPolicy, private_of, secrets_of
from prefmem.types import Preference

_FORM = r"(?:prompt|instruction|rule|guideline|polic|configuration|directive|guardrail|filter)"
_PATTERNS = re.compile(
    r"""
    # links, addresses, handles, markup, code, and what marks a turn in a prompt
      \b\w{1,20}:// | \bwww\. | (?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}\.\w
    | (?<!\w)@\w{3,} | \bjavascript:
    | \b[\w-]{2,40}\.(?:com|net|org|io|ai|co|biz|info|ru|cn|xyz|example|dev|app|security
      |online|site|club|link|top|shop|store|cloud)\b(?!\sfiles?\b)
    | <[!/?a-z][^>]{0,200}(?:>|=|$) | \{\{ | \$[({] | <\|\w | \[/?INST | \b__\w+__\b
    | ^\W{0,3}(?:system|assistant|developer)\W{0,3}: | \b(?:alert|eval|exec|fetch|sleep
      |console\.log)\(
    | \b(?:select|union|insert|drop|delete)\b.{0,40}\b(?:from|into|table|select)\b.{0,40}(?:--
      |;|')
    | \bselect\s(?:case\b|\*\s*from|\w+\()
    | \b(?:sudo|rm\s-\w|curl|wget|chmod|nc\s-\w|powershell\s-\w)\s
    | (?<![\w+/-])(?=[a-zA-Z+/_-]{0,200}\d)(?=[0-9+/_-]{0,200}[a-zA-Z])
      [A-Za-z0-9+/_-]{32,}={0,2}
    | \b(?:[0-9a-f]{2}[ :]){8}
    # secrets
    | \b(?:password|passcode|passphrase|api[ _-]?key|credential|access[ ]token|auth\w*[ ]token)s?\b
    | \b(?:secret[ ]key|private[ ]key|ssh[ ]key|pin[ ]code|security[ ]code|2fa|otp)s?\b
    # tools, and deeds with an aim
    | \b(?:run|execute|call|invoke|use|trigger)\s+(?:the\s+)?\w*\s*(?:tool|function|shell|command)s?
      \b(?!\s+(?:names?|syntax|style|examples?|in)\b)
    | \b(?:run|execute)\s+(?:this|the|any|all|every|arbitrary)\b
    | \b(?:send|forward|post|upload|transfer|wire|pay|copy|bcc|cc|e-?mail|share|leak|report
      |submit)\b
      .{0,60}\b(?:to|into|with|on)\b.{0,60}\b(?:account|address|server|wallet|iban|everyone
      |inbox
      |channel|website|endpoint|webhook|third[ ]part\w+|slack|cloud|drive|public)\b
    | \b(?:transfer|wire|pay|buy|purchase|donate|invest|refund)\b.{0,30}
      (?:[$€£]\s?\d|\d\s?(?:usd|eur|dollars|euros|btc|pounds))
    | \b(?:transaction|payment|deposit|refund|recurring\spayment|bank\saccount|crypto|bitcoin)s?\b
      .{0,40}\b(?:to|from|for|into|every|now)\b
    | (?<!not\s)(?<!n't\s)(?<!n’t\s)(?<!never\s)
      \b(?:delete|remove|erase|wipe|overwrite|modify|change|update|cancel|accept|approve)\s
      (?:all|every|any|the|my|his|her|their|this)\s(?:\w+\s){0,3}(?:files?|e-?mails?|messages?
      |events?|appointments?|accounts?|data|database|logs?|records?|reservations?|bookings?|address
      |settings?|users?|contacts?|backups?|history|drive|calendar|recipient|transactions?)\b
    | \b(?:make|book|create|place)\s(?:a|an|the|one)\s(?:\w+\s){0,4}(?:reservation|booking|payment
      |transaction|purchase|order|appointment|event|account|channel)\b
    # permission, confirmation, hiding
    | \b(?:admin|administrator|root|sudo|superuser)\b.{0,20}\b(?:access|right|permission
      |privilege|mode
      |override|user)
    | \b(?:escalat\w+|grant)\b.{0,30}\b(?:privilege|access|permission|root|admin|right)
    | \bwithout\s+(?:asking|telling|confirm\w*|approval|permission|consent|notif\w+|my\sknowledge)\b
    | \b(?:no|skip|drop|omit)\s(?:the\s)?confirmations?\b
    | \b(?:do\s+not|don['’]?t|never)\s+(?:tell|inform|notify|alert|mention\s+(?:this|it)\s+to|warn)
      \s+(?:me|the\s+user|anyone|anybody|him|her|them|people)\b
    | \b(?:secretly|covertly|silently|discreetly|behind\s(?:my|his|her|their)\sback)\b
    | \b(?:hide|conceal|withhold)\b.{0,30}\b(?:from\s(?:me|the\suser|him|her|them|users?)|this
      |fact)\b
    | \b(?:other|another|all)\s+users?(?:'s|')?\b
    | \b(?:remember|store|save|keep|note|add)\b.{0,40}\b(?:in|to|into)\s(?:your\s|the\s
      |long-term\s)*memory\b
    """,
    re.I | re.X,
)
# Other instructions for the agent, another nature, no limits.
_TAKEOVER = re.compile(
    rf"""
     \b(?:ignore|disregard|override|overrule|bypass|forget|disobey|drop|suspend|circumvent|evade
      |lift)
      \b.{{0,60}}(?:\b(?:instruction|rule|polic|safet|guideline|guardrail|system|permission
      |restriction
      |filter|previous|prior|above|earlier|ethic|moral|limit|conversation|training|everything
      |rest\sof)|{_FORM})
    | \b(?:ignore|disregard|forget)\s+(?:all|everything|anything|whatever|it\sall)\b
    | \b(?:your|the|these|those|initial|original|hidden|system|developer|internal|above|initially)\s
      (?:\w+\s){{0,3}}(?:system\s)?(?:prompt|instructions|configuration|programming|directives
      |weights)\b
    | \bsystem\s?prompt | \b(?:text|words?|conversation|message|everything)\s(?:you\swere\sgiven
      |above
      |before\sthis|so\sfar) | \bword[ ]for[ ]word\b | \bverbatim\b.{{0,30}}\b(?:above|given|prompt)
    | \b(?:pretend|imagine|role-?play(?:s|ing)?|simulate|act|behave|pose|identify)\b.{{0,20}}
      \b(?:as|to\sbe|that\syou|you(?:['’]re|\sare)|like\san?|being)\b(?!\s(?:customers?|dialogues?
      |if)\b)
    | \byou(?:['’]re|\sare|\swill\s(?:be|act))\s(?:now|no\slonger|going\sto|not\san?|free|an?|the
      |to|in
      |allowed|able|unrestricted|called|named|about|playing|always)\b
    | \b(?:d\.?a\.?n\.?|do\sanything\snow|jail-?break\w*|unfiltered|uncensored|unrestricted|unhinged
      |developer\smode|debug\smode|god\smode|maintenance\smode|admin\w*\smode|amoral|immoral
      |unethical
      |no\s(?:restrictions|filters?|limits|limitations|morals|ethics|rules)
      |without\s(?:any\s)?(?:filters?
      |restrictions|limits|limitations|censor\w*|morals?|ethics|warnings?\sor))\b
    | \b(?:safety|content|ethical|moral|openai|ai)\s(?:check|filter|polic|guideline|rules?
      |restriction
      |constraint|protocol|mechanism)
    | \b(?:never|don['’]?t|do\snot|cannot|can['’]?t|must\snot)\s(?:ever\s)?(?:refuse|decline
      |reject|say\s
      (?:no|you\scan|i\scan|sorry)|break\scharacter|disagree|question\s(?:me|my|orders))
    | \b(?:obey|comply|do\swhatever|do\sanything|do\severything|do\sas\s(?:i|you['’]?re)
      |at\sall\scosts?)\b
    | \bstart\s(?:your|every|each)\s\w+\swith\s.{{0,12}}\b(?:sure|my\sinstructions|absolutely
      |of\scourse)
    | \b(?:in\scharacter|alter\sego|persona\b|two\s(?:different\s)?(?:separate\s)?(?:ways
      |responses))
    | \b(?:chat\s?gpt|gpt-?\d|openai|anthropic|claude|gemini|llama|language\smodel)\b.{{0,60}}
      \b(?:you|will|must|mode|now|as|act|respond|answer|is|would)\b
    """,
    re.I | re.X,
)
# Words of harm, crime and hate: what they are about is no wish about answers.
_HARM = re.compile(
    r"""\b(?:
      bombs?|explosiv\w+|detonat\w+|grenades?|molotov|firearms?|handguns?|rifles?|ammunition|napalm
    | (?:chemical|biological|nuclear|deadly|lethal)\s(?:weapon|agent|attack)\w* | bioweapons?
    | weapons?\b(?=.{0,40}\b(?:make|build|making|building|buy|3d|homemade|school|smuggl))
      | nerve\sagents?
    | anthrax|sarin|ricin|lewisite|parathion|mercury\sfulminate|dimethyl\w*|nitazene\w*|fentanyl
      |meth
    | methamphetamine|cocaine|heroin|mdma|lsd|opioids?|drug\s(?:dealer|traffick|smuggl)\w*
    | malware|ransomware|spyware|keylogger\w*|botnet\w*|trojan|rootkit|exploit(?:s|ing)?|backdoors?
    | phish\w*|ddos|hack(?:s|ed|er|ers|ing)?|zero-?day|buffer\soverflow|sql\sinjection|xss|worm
    | vulnerabilit(?:y|ies)|deepfake\w*|swatting|dox+(?:ing|ed)?|stalk(?:ing|er)?|brute[- ]?force
    | cheat(?:ing)?\son|plagiari[sz]\w+|pirat(?:e|ed|ing)\s(?:software|movies|music)|torrents?
    | crack(?:ed)?\sversions?|unlicensed|fraud\w*|scam\w*|fake\s(?:id|passport|reviews?|news|money
      |giveaway
      |evidence|account|profile|document)s?|forg(?:e|ed|ing|ery)\b|counterfeit\w*|launder\w*
      |embezzl\w*
    | pyramid\sscheme|ponzi|insider\strading|tax\s(?:evasion|fraud)|bribe\w*|blackmail\w*|extort\w*
    | steal\w*|stole\w*|theft|rob(?:bing|bery)|burgl\w*|shoplift\w*|break(?:ing)?\sinto|hotwir\w*
    | kidnap\w*|hostages?|traffick\w*|smuggl\w*|murder\w*|kill(?:s|ed|ing|er)?|assassinat\w*
      |poison\w*
    | stab(?:bing)?|strangl\w*|tortur\w*|dismember\w*|massacre|genocid\w*|holocaust|terroris\w+|isis
    | suicid\w*|self[- ]harm\w*|anorexi\w*|starv(?:e|ing)\syourself|violen(?:t|ce)|assault\w*
      |rape\w*
    | incest\w*|pedoph\w*|child\sporn\w*|porn\w*|erotic\w*|nudes?|explicit\ssex\w*|sexual\w*|nsfw
    | racis(?:t|m)|sexis(?:t|m)|nazi\w*|hitler|white\ssupremac\w*|antisemit\w*|homophob\w*
      |xenophob\w*
    | slurs?|hate(?:ful)?\sspeech|bully\w*|bullies|harass\w*|defam\w+|slander\w*|insult\w*|offensive
    | degrad\w+|humiliat\w+|dehumani\w+|inferior|toxic|profan\w+|curse\swords?|swear\swords?
      |vulgar\w*
    | illegal\w*|illicit\w*|unlawful\w*|criminal\w*|crimes?|illegally|black\smarket|dark\s?web
    | misinformation|disinformation|propaganda|conspirac\w+|hoax\w*|manipulat\w+|deceiv\w*|decept\w+
    | incit\w+|riots?|radicali\w+|extremis\w+|overthrow|insurrection|sabotag\w*|derail\w*|wiretap\w*
    | surveil\w*|spy(?:ing)?\son|evad(?:e|ing)|malicious\w*|harmful|dangerous\w*|inappropriate\w*
      |obscen\w*
    | infect\w*|virus(?:es)?\b(?=.{0,60}\b(?:spread|releas|engineer|modif|creat|subway))
      |bleach\sand|ammonia
    | breathalyzer|drug\stests?|date\srape|human\s(?:organs?|flesh|meat)|cannibal\w*|trespass\w*
      |vandal\w*
    | arson|set\sfire\sto|burn\sdown|electrocut\w*|weaponi\w+|uranium|plutonium|enrich\w*\suranium
      |gore
    )\b""",
    re.I | re.X,
)
_HARM_AS_TASTE = re.compile(
    r"(?:no|not|never|don['’]?t|do\snot|avoid|without|skip|nothing|leave\sout|hate|dislike"
    r"|spare)\b",
    re.I,
)
# A task for once: nobody's standing wish.
_TASK = re.compile(
    r"""^\W*(?:(?:please|can\syou|now)\s)?(?:
      (?:write|create|compose|generate|draft|develop|produce|make|design|build|give|provide|craft
      |tell)
      \s(?:me\s)?(?:an?|one|some|the|two|\d+)\s(?:[\w'-]+\s){0,4}?(?:article|essay|script|post
      |story|poem
      |speech|message|tweet|letter|e-?mail|tutorial|guide|plan|program|song|joke|code|function
      |website
      |scene|text|blog|report|review|note|manual|sentence|paragraph|list|campaign|ad|advertisement
      |recipe
      |command|command[ ]line|dialogue|fan\s?fiction|excerpt|lyrics|passage|chapter|page|way|ways
      |example
      |argument|strategy|set\sof|instructions|suggestions)\b\s+(?:that|which|claiming|arguing
      |about|to
      |for|explaining|persuading|on|how|in\swhich|describing|detailing|with|from|of|promoting
      |advertising|convincing|encouraging|between|where|pretending)\b
    | (?:give|provide|write|list|describe|explain|outline)\s(?:me\s)?(?:(?:detailed|specific
      |complete|full
      |clear|exact|concrete|step[- ]by[- ]step)[\s,]+){1,3}(?:instructions?|tutorial|guide|plan
      |steps?|recipe
      |method|suggestions?|tips|advice|explanation|description)\b
    | (?:give|provide)\s(?:me\s)?(?:instructions|suggestions|tips|advice)\s(?:for|on)\show\s
    | (?:describe|list|outline|discuss|brainstorm|suggest)\s(?:in\sdetail[\s,]+)?
      (?:(?:specific|effective|creative|the\sbest|some|detailed|possible|several|various
      |\d+)\s){0,2}
      (?:how|why|ways|methods|modifications|strategies|techniques)\s(?:to|of|for|someone|a\sperson
      |people
      |the|one|could)\b
    | (?:repeat|print|output|write|say|translate|continue|summari[sz]e|identify|assess|bring\sout
      |review)\s
      (?:the\s(?:following|above|text|previous|last|first)|this|these|everything|all|any|out)\b
      (?!\s(?:links?|abbreviations?|numbers?|acronyms?))
      (?!(?:\s[\w-]+){0,2}\sin\s(?:the\s)?(?:lower|upper|title|sentence|small|capital|plain|simple|bold|italic
      |british|american|english|german|french|spanish|italian|dutch|metric|imperial|capital|past
      |present|passive|active|first|second|third)s?(?:\s(?:case|letters|type|words|english|prose
      |tense|voice|person|units|please))*\W*$)
    | (?:write|say|print|output|repeat)\s(?:one|an?|the)?\s?(?:[\w']+\s){0,2}(?:sentence|word
      |phrase)s?\s
      (?:about|exactly|\d)
    | in\sthis\s(?:game|story|scenario|hypothetical|conversation|chat)
    | (?:let['’]?s|we\sare\sgoing\sto|i\swant\sto)\splay\b
    | i(?:['’]m|\sam)\s(?:a|an|your|the|currently)\s(?:[\w'-]+\s){0,2}(?:developer|researcher
      |admin\w*|owner
      |creator|engineer|police|officer|doctor|nurse|user\son)\b.{0,80}\b(?:show|give|tell|reveal
      |need|print)
    )""",
    re.I | re.X,
)
# Favour for a name: "recommend Acme", "Acme is my trusted source".
_RANK = (
    r"(?:trusted|trustworthy|reliable|authoritative|credible|preferred|go-to|number\sone"
    r"|no\.?\s?1|best"
    r"|leading|top|premier|official|default|first|only|favou?rite|recommended|gold[- ]standard)"
)
_ROLE = (
    r"(?:sources?|providers?|choice|vendors?|suppliers?|options?|brands?|company|reference|experts?"
    r"|authority|sites?|websites?|shops?|stores?|banks?|recommendations?|platforms?|partners?"
    r"|products?"
    r"|services?|advis[eo]rs?|outlets?|retailers?|marketplace|solution|citation|place\sto|pick)"
)
_FAVOUR = re.compile(
    rf"""
      \b(?:as|is|are|be|was|remains?)\s(?:(?:a|an|the|my|your|our|one\sof\sthe|always)\s){{0,2}}
      (?:[\w-]+\s){{0,2}}{_RANK}\s(?:[\w-]+\s){{0,3}}{_ROLE}\b
    | \b(?:trust|rely\son|believe|defer\sto)\b.{{0,60}}\b(?:first|most|above|over|always|fully
      |completely)\b
    | \b(?:recommend|suggest|promote|mention|cite|advertise|endorse|name|rank|list|put|place|push
      |plug)\b
      .{{0,60}}\b(?:first|at\sthe\stop|above|over|ahead\sof|before|instead\sof
      |rather\sthan)\b.{{0,20}}
      \b(?:competitors?|rivals?|alternatives?|(?:all|any)\sothers?|other\s(?:brands?|products?
      |sources?
      |companies|options?|shops?|services?|vendors?|tools?|providers?|sites?))
    | \b(?:direct|steer|send|point|refer|route|guide)\s(?:me|users?|people|customers?|them
      |everyone|buyers?
      |shoppers|all)\b.{{0,40}}\b(?:to|towards?)\b
    | \b(?:nothing|no\sone|nobody)\sbut\b.{{0,40}}\b(?:recommend|trust|buy)
    """,
    re.I | re.X,
)
_PROPER = r"(?:[A-Z][\w&'’.-]*[a-z0-9][\w&'’.-]*|[A-Z]{2,}[\w&.-]*)"
_BRAND = re.compile(
    rf"\b(?:[Rr]ecommend|[Ss]uggest|[Tt]rust|[Pp]romote|[Ee]ndorse|[Aa]dvertise|[Ff]avou?r"
    rf"|[Pp]raise|[Pp]lug"
    rf"|[Ss]hop\s(?:at|with|on)|[Bb]uy\s(?:from|at)?|[Pp]rioriti[sz]e|[Rr]ely\son|[Bb]elieve"
    rf"|[Pp]ush)"
    rf"(?:ing|s|d|ed)?\s(?:(?:only|the|all|products?|services?|anything|tools?|from|by|of|in|on"
    rf"|to|at|me"
    rf"|what|sources?|like)\s){{0,4}}(?P<name>{_PROPER})"
)
_FIRM = re.compile(
    rf"\b{_PROPER}\s(?:Inc|Ltd|LLC|GmbH|Corp|Co|AG|PLC|SA)\b|[™®]"
    rf"|\b(?:[Pp]refer|[Cc]hoose|[Pp]ick|[Uu]se|[Cc]onsult|[Cc]ite|[Mm]ention|[Nn]ame"
    rf"|[Cc]ompare\sto)\s(?P<name>{_PROPER})"
    r".{0,40}\b(?:products?|services?|purchas\w+|shopping|brands?|sponsor\w*|deals?|news|advice"
    r"|competitors?"
    r"|facts?|health|investments?|insurance|recommendations?|buying|customers?|alternatives"
    r"|whenever\spossible"
    r"|as\s(?:a|the|my|your)\s(?:[\w-]+\s){0,2}source)\b"
)
_NO_BRAND = re.compile(  # languages, peoples, places of cooking, months, days, techniques
    r"(?:\w+(?:ian|ean|ish|ese|ch|nch)|German|Dutch|Greek|Thai|Swiss|Czech|Arab\w*|Indian|Mexican"
    r"|African"
    r"|American|Latin|Nordic|Mediterranean|Asian|European|Monday|Tuesday|Wednesday|Thursday"
    r"|Friday|Saturday"
    r"|Sunday|January|February|March|April|May|June|July|August|September|October|November|December"
    r"|Christmas|Easter|Linux|Python|Java\w*|TypeScript|Rust|SQL|CSS|HTML|Celsius|Fahrenheit|I"
    r"|I'm|YA|SF|TV"
    r"|DIY|PDF|API|UK|US|EU|USA|JSON|CSV|XML|YAML|LaTeX|Markdown|Oxford|Unicode|Git|Bash|R|C"
    r"|Go)(?:s|'s)?\.?"
)
_ASKS = re.compile(r"[?？]\W{0,9}$")
_ASKED_OF_YOU = re.compile(
    r"\W{0,9}(?:please\s|and\s|also\s)?(?:can|could|would|will)\s(?:you|we)\s(?!truly)", re.I
)
_SYMBOLS = re.compile(r"[^\w\s.,;:!?'\"’“”()/%€$£°+–—-]")
_ENGLISH = re.compile(
    r"\b(?:and|are|be|but|by|from|have|how|if|it|my|not|of|please|that|the|they|this|to|use|was"
    r"|what|when"
    r"|with|you|your|for|in|is|on|all|always|never|no|any|write|give|show|make|as|an?|me|do"
    r"|don['’]t)\b",
    re.I,
)
_CODE = re.compile(r"\W*(`[^`]{1,400}`|\$\s.{1,400}|\./\S{1,400})\W*", re.S)
_READ = 20_000  # characters of a turn that are looked at
_MOST_SYMBOLS = 0.12  # of the characters


def claims_authority(preference: Preference) -> bool:
    """Whether a rule reads as an order about what to do rather than how to answer."""
    both = f"{preference.condition}\n{preference.action}"
    if (
        _PATTERNS.search(both)
        or _TAKEOVER.search(both)
        or _TASK.search(preference.action)
        or _favours(both)
    ):
        return True
    harm = _HARM.search(both)
    if harm and not _HARM_AS_TASTE.search(both[: harm.start()]):
        return True
    signs = len(_SYMBOLS.findall(both))
    if (signs > 2 and signs > _MOST_SYMBOLS * len(both)) or _CODE.fullmatch(preference.action):
        return True
    if _ASKS.search(preference.action) and not _ASKED_OF_YOU.match(preference.action):
        return True
    return bool(_ENGLISH.search(both)) and facet_of(preference.action) is None


def is_takeover(text: str) -> bool:
    """Whether a turn wants to make something else of the agent: no rule in it is sure."""
    return _TAKEOVER.search(text[:_READ]) is not None


def must_wait(preference: Preference, pii: PIIPolicy) -> bool:
    """Whether a rule waits in quarantine until the user confirms it outside the model.

    Args:
        preference: The rule with its quotes.
        pii: What happens to special categories; a secret waits in any case.
    """
    private = secrets_of if pii == "allow" else private_of
    return claims_authority(preference) or bool(private(preference))


def _favours(text: str) -> bool:
    """Whether a rule asks for favour for a name."""
    if _FAVOUR.search(text):
        return True
    for pattern in (_BRAND, _FIRM):
        for match in pattern.finditer(text):
            if not match["name"] or not _NO_BRAND.fullmatch(match["name"]):
                return True
    return False
