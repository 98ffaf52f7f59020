"""The template of a report: it loads nothing, fits a phone, and can be printed."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}: report</title>
<style>
:root { color-scheme: light; --line: #cfd6de; --soft: #4d5966; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1200px; padding: 1rem; font: 16px/1.5 system-ui, sans-serif; color: #1c232b;
  background: #fff; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .2rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2rem 0 .6rem; border-bottom: 2px solid var(--line); padding-bottom: .2rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p { margin: .3rem 0; }
.soft { color: var(--soft); font-size: .9rem; overflow-wrap: anywhere; }
.note { background: #fff6dd; border-left: 4px solid #e0a800; padding: .4rem .7rem; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: .6rem; margin: .6rem 0; }
.tile { border: 1px solid var(--line); border-radius: .4rem; padding: .45rem .7rem; break-inside: avoid; }
.tile b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: separate; border-spacing: 0; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-size: .9rem; border-bottom: 2px solid var(--line); }
tr { break-inside: avoid; }
.classes tr :first-child { position: sticky; left: 0; background: #fff; border-right: 1px solid var(--line); }
th.name, td.name { text-align: left; }
td.name { white-space: normal; overflow-wrap: anywhere; min-width: 7.5rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1.4rem; }
figure { margin: 0; break-inside: avoid; }
figure img { display: block; width: 100%; height: auto; }
figure.wide { grid-column: 1 / -1; }
.figures figure:not(.wide) img { max-width: 36rem; }
figcaption b { display: block; overflow-wrap: anywhere; }
.worst { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); gap: 1.2rem .9rem;
  align-items: start; }
pre { overflow: auto; max-height: 30rem; background: #f3f5f7; padding: .7rem; font-size: .8rem; line-height: 1.4; }
@page { margin: 14mm; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  h2, h3 { break-after: avoid; }
  pre { max-height: none; overflow: visible; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 7pt; }
  .scroll { overflow: visible; }
  th, td { padding: .2rem .45rem; }
  .classes tr :first-child { position: static; }
  .figures { grid-template-columns: 1fr 1fr; }
  .worst { grid-template-columns: 1fr 1fr; }
  .worst:has(.wide) { grid-template-columns: 1fr; }
  figure img { min-width: 0 !important; }
}
</style>
</head>
<body>
{% macro tiles(values) %}
<div class="tiles">
{% for name, value in values.items() %}
<div class="tile"><span class="soft">{{ name }}</span><b>{{ show(value) }}</b></div>
{% endfor %}
</div>
{% endmacro %}
{% macro rows(table, kind='') %}
{% if table.title %}<h3>{{ table.title }}</h3>{% endif %}
{% if table.text %}<p class="soft">{{ table.text }}</p>{% endif %}
{% if table.rows %}
<div class="scroll {{ kind }}"><table>
<thead><tr>
{% for name in table.columns %}<th{% if table.rows[0][loop.index0] is string %} class="name"{% endif %}>{{ name }}</th>
{% endfor %}</tr></thead>
<tbody>
{% for row in table.rows %}
<tr>{% for value in row %}<td{% if value is string %} class="name"{% endif %}>{{ show(value) }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table></div>
{% else %}
<p>None.</p>
{% endif %}
{% endmacro %}
{% macro image(figure) %}
<div class="scroll"><img src="{{ figure.source }}" alt="{{ figure.title }}"
{% if figure.min_width %} style="min-width: {{ figure.min_width }}px"{% endif %}></div>
{% endmacro %}
<h1>{{ title }}</h1>
<p class="soft">{{ report.task }} · {{ report.checkpoint }} · {{ report.created }}</p>
{% for note in content.notes %}
<p class="note">{{ note }}</p>
{% endfor %}
<h2>Metrics</h2>
{% if report.metrics %}
{{ tiles(report.metrics) }}
{% else %}
<p>The metrics of the config gave no value.</p>
{% endif %}
<h2>Data</h2>
{{ tiles(content.data) }}
<h2>Classes</h2>
{{ rows(content.classes, 'classes') }}
<h2>Curves and matrices</h2>
<div class="figures">
{% for figure in content.figures %}
<figure{% if figure.wide %} class="wide"{% endif %}>
<figcaption><b>{{ figure.title }}</b></figcaption>
{{ image(figure) }}
<p class="soft">{{ figure.text }}</p></figure>
{% endfor %}
</div>
{% for table in content.tables %}
{{ rows(table) }}
{% endfor %}
<h2>Images with the most errors</h2>
{% if content.worst %}
<p class="soft">{{ content.worst_text }}</p>
<div class="worst">
{% for figure in content.worst %}
<figure{% if figure.wide %} class="wide"{% endif %}>
{{ image(figure) }}
<figcaption class="soft"><b>{{ figure.title }}</b>{{ figure.text }}</figcaption></figure>
{% endfor %}
</div>
{% else %}
<p>None: there is no error.</p>
{% endif %}
<h2>Latency on this CPU</h2>
{% if report.latency.missing %}
<p>Not measured: {{ report.latency.missing }}</p>
{% else %}
<div class="tiles">
{% for threads, times in report.latency.milliseconds.items() %}
<div class="tile"><span class="soft">{{ threads }} thread{{ 's' if threads != '1' }}</span>
<b>{{ '%.2f' % times.median }} ms</b><span class="soft">90 % below {{ '%.2f' % times.p90 }} ms</span></div>
{% endfor %}
</div>
<p class="soft">These weights exported to OpenVINO, from an image in memory to the result, one image at a time, input
{{ report.latency.input_size | join('x') }}, median of {{ (report.latency.milliseconds.values() | first).calls }} calls;
{{ report.machine.cpu }}, {{ report.machine.physical_cores }} cores, load {{ report.latency.load }}.
{% if report.latency.problem %}Not proven to compute the same as PyTorch: {{ report.latency.problem }}.
{% else %}The export computes the same as PyTorch on one of the images.{% endif %}</p>
{% endif %}
<h2>Versions and config</h2>
<p class="soft">{% for name, version in report.machine.versions.items() %}{{ name }}&nbsp;{{ version }}
{{- ' · ' if not loop.last }}{% endfor %}</p>
<p class="soft">Python {{ report.machine.python }}, {{ report.machine.system }}</p>
<p class="soft">SHA-256 of the checkpoint: {{ report.checkpoint_sha256 or 'unknown' }}</p>
<p class="soft">Config: {{ report.config }}</p>
<pre>{{ config_text }}</pre>
</body>
</html>
"""
