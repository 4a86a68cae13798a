"""How users speak to their memory in passing, in Chinese, German, Spanish and French.

These are patterns as they are: Chinese has no spaces between words, and the others need few forms.
"""

import re

from prefmem.commands_grammar import Intent
from prefmem.commands_notation import Form

# A sentence that has one of them anywhere tells the memory so; the surest first. Gaps are bounded.
_ANYWHERE: tuple[tuple[Intent, str], ...] = (
    # Chinese.
    ("undo", r"(?:删|忘|去掉|取消|撤).{0,40}(?:恢复|留着吧|加回来|找回来|放回|还是要)"),
    ("undo", r"(?:恢复|找回)(?:一下)?(?:之前|上次|原来|以前).{0,12}(?:规则|偏好|习惯|那条|设置)"),
    (
        "show",
        r"你(?:现在|都|还|到底|已经)*(?:记(?:着|得|了|住了|录了)?|存了|了解"
        r"|知道)(?:关于)?我.{0,12}(?:什么|啥|哪些|哪几)",
    ),
    ("show", r"(?:列出来|列一下|摆出来|给我看看?|拿出来).{0,8}(?:记|存)(?:的|了|着)"),
    (
        "why",
        r"(?:为什么|为啥|凭什么|怎么|干嘛|每次|总是|老是).{0,60}我.{0,4}(?:设置?|说|讲|要求"
        r"|交代|定|教|跟你说|告诉你)过",
    ),
    ("why", r"是我.{0,4}(?:设置?|说|讲|要求|交代|定|教|跟你说|告诉你)过?的?[吗嘛么]"),
    (
        "edit",
        r"(?:以后|今后|从今天起|从现在起|往后|下个?月起).{0,20}(?:改成|改为|换成|调成|改到"
        r"|提到|升到|降到)",
    ),
    (
        "remember",
        r"(?:记一下|记住|记下来?|别忘了?|记好)[^带拿买].{0,60}(?:以后|今后|从今|往后|每次|都)",
    ),
    ("remember", r"(?:以后|今后|从今|往后|每次).{0,60}(?:记一下|记住|记下来?|记好)"),
    (
        "pause",
        r"(?:今天|这次|这一次|这周|这几天|这个月|暂时|这回|眼下|今晚).{0,8}先(?:别|不用|停"
        r"|直接|放|不要|不管|不提)(?!这样|到这|聊)",
    ),
    ("pause", r"先(?:停一停|停一下|停几天|放一放|歇一歇|搁一搁)"),
    ("narrow", r"(?:以后|今后|往后).{0,30}(?:只有?在?|才|仅)(?!是|能|会)"),
    ("narrow", r"(?:就行|就好|就可以|即可)[，,].{1,16}(?:才|只)(?:要|用|管|需要|限)"),
    (
        "forget",
        r"(?:以后|今后|往后|不再|现在).{0,30}(?:可以省了|省了吧|可以忘了|忘了吧|删了吧|别记了"
        r"|不用记了|取消吧|去掉吧|不用了)",
    ),
    # German.
    (
        "undo",
        r"\b(?:gelöscht|gestrichen|rausgenommen|entfernt|vergessen lassen"
        r"|weggenommen)\b.{0,80}\b(?:wieder|zurück)\b",
    ),
    (
        "undo",
        r"\b(?:hol|nimm|bring|stell)e?\b.{0,60}\b(?:wieder (?:rein|auf|her|hinein)"
        r"|zurück)\b.{0,60}\b(?:regel|gelöscht|gestrichen|vergessen)",
    ),
    (
        "show",
        r"\bwas (?:weißt|weisst|hast) du\b.{0,30}\b(?:über (?:mich|uns|mein\w*)|von mir|zu"
        r" mir|gespeichert|gemerkt)\b",
    ),
    (
        "show",
        r"\bwas (?:habe?|hab) ich dir\b.{0,30}\b(?:gesagt|aufgetragen"
        r"|erzählt)\b.{0,60}\b(?:zeig|liste)",
    ),
    (
        "why",
        r"\bhab(?:e|'| )? ?ich (?:dir |das |so |da )*(?:(?:mal|je|irgendwann|schon) )*(?:was "
        r"|das |so )?(?:gesagt|gewollt|verlangt|eingestellt|erzählt)\b",
    ),
    ("why", r"\bwoher (?:weißt|weisst|hast|kommt)\b.{0,12}\b(?:du das|das)\b"),
    ("remember", r"\b(?:merk|notier|speicher)e? (?:dir|das|es)\b(?! nicht)(?P<content_0>.*)"),
    (
        "narrow",
        r"\b(?:künftig|in zukunft|ab jetzt|das gilt|die regel gilt)\b.{0,20}\bnur\b,?"
        r" (?P<content_0>(?:wenn|für|bei|in|im|mit|am|an)\b[^,;]*(?:,[^,;]*)?)",
    ),
    (
        "pause",
        r"\b(?:bis \w+|diese woche|heute|diesmal|dieses mal|fürs erste)\b.{0,40}\b(?:lass"
        r"|lasst|ohne|vergiss|spar)\b(?P<target_0>[^,;]*)\b(?:weg|aus|sein|beiseite|mal)\b",
    ),
    (
        "forget",
        r"\b(?:raus|weg|streichen|löschen|lösch|streich|nimm)\b.{0,40}\b(?:aus deinem|aus"
        r" deinen|von deiner) (?:gedächtnis|kopf|notizen|liste|speicher)",
    ),
    (
        "forget",
        r"\bkannst du (?:dir )?(?:künftig|in zukunft|ab jetzt|jetzt|ruhig)+ (?:sparen"
        r"|vergessen|streichen|löschen|weglassen)\b",
    ),
    (
        "forget",
        r"\bvergiss (?:die regel|das mit|die sache mit|den kram mit|was"
        r" ich)\b(?P<target_0>[^,;]*)",
    ),
    (
        "edit",
        r"\b(?:änder|stell|setz)e? (?:das|die regel|es|meine?\w*)\b[^,;]{0,30}\b(?:auf|in|zu"
        r"|um auf)\b",
    ),
    # Spanish.
    (
        "undo",
        r"\b(?:borr[ée]|quit[ée]|elimin[ée]|te (?:pedí|dije) que (?:olvidaras|quitaras"
        r"|borraras))\b.{0,80}\b(?:vuelve|recup[ée]ra|pon|ponla|restaura|devu[ée]lve)",
    ),
    (
        "show",
        r"\bqu[ée] (?:sabes|tienes|recuerdas|guardas|has guardado|apuntaste)\b.{0,24}\b(?:de"
        r"|sobre) (?:mí|mi|mis|nosotros)\b",
    ),
    (
        "why",
        r"\b(?:te lo|te|lo|eso) (?:dije|pedí|he dicho|he pedido|puse|conté) (?:yo|alguna vez"
        r"|antes)\b",
    ),
    ("why", r"\bde d[óo]nde (?:sacas|sacaste|has sacado|sale|salió)\b.{0,12}\b(?:eso|esto|que)\b"),
    (
        "remember",
        r"\b(?:apunta(?:lo)?|ap[úu]ntate|anota(?:lo)?|gu[áa]rda(?:te|lo)?|recuerda"
        r"|acu[ée]rdate de) (?:eso|esto|que)\b:?(?P<content_0>.*)",
    ),
    (
        "pause",
        r"\b(?:por|solo|sólo) (?:hoy|esta vez|esta semana|ahora)\b.{0,8}\b(?:deja|olvida|sin"
        r"|s[áa]ltate|no (?:uses|pongas|apliques))\b(?P<target_0>[^,;]*)",
    ),
    (
        "narrow",
        r"\b(?:a partir de ahora|eso|esa regla)\b.{0,24}\bs[óo]lo\b (?P<content_0>(?:para"
        r"|cuando|en|con|si)\b[^,;]*)",
    ),
    ("forget", r"\bolvida (?:lo de(?:l)?|la regla|lo que|esa regla|que)\b(?P<target_0>[^,;]*)"),
    ("forget", r"\b(?:borra|quita) (?:lo de(?:l)?|la regla|esa regla)\b(?P<target_0>[^,;]*)"),
    ("edit", r"\bcambia (?:eso|la regla|lo de)\b.{0,30}\b(?:a|por)\b"),
    # French.
    (
        "undo",
        r"\bremets\b.{0,60}\b(?:règle|supprimé|effacé|enlevé)|\b(?:supprimé|effacé"
        r"|enlevé)e?\b.{0,60}\bremets\b",
    ),
    (
        "show",
        r"\b(?:qu'est-ce que tu (?:sais|as (?:gardé|noté|retenu))|que sais-tu|tu sais"
        r" quoi)\b.{0,20}\b(?:sur|de) (?:moi|mes|mon|ma|nous)\b",
    ),
    (
        "why",
        r"\b(?:je te l'ai|je t'ai) (?:dit|demandé)\b.{0,20}\?|\bd'o[ùu] (?:tu sors|tu tiens"
        r"|ça vient)\b",
    ),
    (
        "remember",
        r"\b(?:retiens|note|souviens-toi|n'oublie pas) que (?P<content_0>(?:je|j'|mon|ma|mes"
        r"|nous|on)\b.*)",
    ),
    (
        "pause",
        r"\b(?:pour cette fois|juste (?:aujourd'hui|cette fois)|pour"
        r" aujourd'hui)\b.{0,8}\b(?:oublie|laisse|sans|ignore)\b(?P<target_0>[^,;]*)",
    ),
    (
        "forget",
        r"\b(?:oublier|oublie) (?:cette (?:histoire|règle)|ces histoires|la règle|ce que je"
        r" t'ai dit|l'histoire)\b(?P<target_0>[^,;]*)",
    ),
)  # fmt: skip


def foreign_forms() -> tuple[tuple[Intent, Form], ...]:
    """Give the forms of these languages, in the order in which they are tried."""
    found: list[tuple[Intent, Form]] = []
    for intent, phrase in _ANYWHERE:
        found.append((intent, Form(re.compile(f"(?:.*?{phrase}.*)", re.I), firm=True)))
    return tuple(found)
