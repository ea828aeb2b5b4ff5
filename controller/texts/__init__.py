"""Everything people read, in their own language: Dutch first, English beside it.

The source strings in the code are English; `locale/<language>/LC_MESSAGES/wijkstroom.po` holds the
translation, read once at the start. Numbers, units, dates and times follow the language too; the
time that people read is always Amsterdam's.
"""

from controller.texts.alarms import alarm_advice, alarm_title
from controller.texts.language import Language, negotiate
from controller.texts.plan_reasons import plan_sentence
from controller.texts.reasons import sentence
from controller.texts.statements import line_title
from controller.texts.translator import Translator, mark, translator

__all__ = [
    "Language",
    "Translator",
    "alarm_advice",
    "alarm_title",
    "line_title",
    "mark",
    "negotiate",
    "plan_sentence",
    "sentence",
    "translator",
]
