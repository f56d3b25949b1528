"""
Tables, CSV, JSON, progress: the only module that prints.

Answers go to stdout, everything else to stderr. Where stderr can't be written, the work
goes on and keeps its exit code: a full disk must not stop a campaign half-way.

Text from outside is cleaned on its way: no escape sequence, bidi override or markup of a
stranger reaches a terminal, no formula a spreadsheet. On a terminal numbers are grouped and
times local; elsewhere values are raw, times ISO 8601 in UTC. rich is loaded only where a
terminal shows it.
"""

from pushctl.output.charts import bars as bars
from pushctl.output.charts import curve as curve
from pushctl.output.charts import heat as heat
from pushctl.output.charts import sparkline as sparkline
from pushctl.output.live import watch as watch
from pushctl.output.locales import find_dialect as find_dialect
from pushctl.output.pages import page as page
from pushctl.output.panels import Frame as Frame
from pushctl.output.panels import Line as Line
from pushctl.output.panels import frames as frames
from pushctl.output.panels import panel as panel
from pushctl.output.progress_bars import Progress as Progress
from pushctl.output.progress_bars import progress as progress
from pushctl.output.questions import ask as ask
from pushctl.output.questions import ask_unseen as ask_unseen
from pushctl.output.questions import confirm as confirm
from pushctl.output.questions import is_interactive as is_interactive
from pushctl.output.streams import answer as answer
from pushctl.output.streams import clean as clean
from pushctl.output.streams import error as error
from pushctl.output.streams import fit as fit
from pushctl.output.streams import gap as gap
from pushctl.output.streams import has_colours as has_colours
from pushctl.output.streams import is_plain as is_plain
from pushctl.output.streams import lines as lines
from pushctl.output.streams import open_raw as open_raw
from pushctl.output.streams import paint as paint
from pushctl.output.streams import propose as propose
from pushctl.output.streams import say as say
from pushctl.output.streams import set_plain as set_plain
from pushctl.output.streams import warn as warn
from pushctl.output.tables import Format as Format
from pushctl.output.tables import is_for_people as is_for_people
from pushctl.output.tables import record as record
from pushctl.output.tables import rows as rows
from pushctl.rules.columns import Column as Column
from pushctl.rules.columns import Kind as Kind
from pushctl.rules.columns import Row as Row
