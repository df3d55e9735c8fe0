// A page that draws one Grafana dashboard from its JSON and a Prometheus; scripts/dashboard-pictures bundles and photographs it.
//
// Field options, value mappings, units, transformations, reductions, and the stat, bar gauge, table and time series panels
// are Grafana's own code, from @grafana/data and @grafana/ui. What Grafana keeps out of its npm packages is done here: the
// page, the variables (all are "All"), the form of Prometheus' answers, and the state timeline.
import React from 'react';
import { createRoot } from 'react-dom/client';
import {
  EventBusSrv, FieldType, ThemeContext, applyFieldOverrides, createFieldConfigRegistry, createTheme, dateTime, displayNameOverrideProcessor,
  fieldReducers, formattedValueToString, getDisplayValueAlignmentFactors, getFieldDisplayName, getFieldDisplayValues,
  identityOverrideProcessor, rangeUtil, standardFieldConfigEditorRegistry, standardTransformers,
  standardTransformersRegistry, thresholdsOverrideProcessor, toDataFrame, transformDataFrame, unitOverrideProcessor,
  valueMappingsOverrideProcessor,
} from '@grafana/data';
import { BarGauge, BigValue, GlobalStyles, PanelChrome, PanelContextProvider, Table, TimeSeries, VizLegend } from '@grafana/ui';
import 'uplot/dist/uPlot.min.css';
import board from './dashboard.json';

const theme = createTheme({ colors: { mode: 'dark' } });
const timeZone = 'utc';
const to = Math.floor(Date.now() / 1000);
const from = to - SECONDS;
const timeRange = { from: dateTime(from * 1000), to: dateTime(to * 1000), raw: { from: `now-${SECONDS}s`, to: 'now' } };
const WIDTH = 1400;
const EDGE = 16;
const GAP = 8;
// The scrape interval, as it would be set in Grafana's data source.
const SCRAPE = 5;

const property = (id, process) => ({ id, path: id, name: id, process, shouldApply: () => true, settings: {} });
standardFieldConfigEditorRegistry.setInit(() => [
  property('displayName', displayNameOverrideProcessor),
  property('unit', unitOverrideProcessor),
  property('thresholds', thresholdsOverrideProcessor),
  property('mappings', valueMappingsOverrideProcessor),
  ...['min', 'max', 'decimals', 'color', 'noValue', 'links'].map((id) => property(id, identityOverrideProcessor)),
]);
standardTransformersRegistry.setInit(() =>
  Object.values(Object.fromEntries(Object.values(standardTransformers).map((transformation) => [transformation.id, { id: transformation.id, name: transformation.name, transformation }])))
);
const custom = ['width', 'align', 'wrapText', 'cellOptions', 'displayMode', 'minWidth', 'hidden', 'filterable', 'drawStyle', 'fillOpacity',
  'lineWidth', 'lineStyle', 'stacking', 'axisPlacement', 'lineInterpolation', 'showPoints', 'pointSize'];
const registry = createFieldConfigRegistry(
  {
    useCustomConfig: (builder) =>
      custom.forEach((path) => builder.addCustomEditor({ id: path, path, name: path, process: identityOverrideProcessor, shouldApply: () => true, settings: {} })),
  },
  'panel'
);

// What Grafana's panel sets where the dashboard says nothing.
const customDefaults = {
  timeseries: {
    drawStyle: 'line', lineInterpolation: 'linear', lineWidth: 1, fillOpacity: 0, gradientMode: 'none', spanNulls: false, showPoints: 'auto',
    pointSize: 5, stacking: { mode: 'none', group: 'A' }, axisPlacement: 'auto', axisColorMode: 'text', axisBorderShow: false,
    barAlignment: 0, scaleDistribution: { type: 'linear' }, thresholdsStyle: { mode: 'off' }, axisCenteredZero: false,
    hideFrom: { legend: false, tooltip: false, viz: false },
  },
  table: { align: 'auto', cellOptions: { type: 'auto' }, inspect: false },
};
const colorDefaults = { timeseries: 'palette-classic', 'state-timeline': 'thresholds' };

async function ask(path, parameters) {
  const response = await fetch(`${PROMETHEUS}/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const body = await response.json();
  if (body.status !== 'success') {
    throw new Error(`${parameters.query}: ${body.error}`);
  }
  return body.data.result;
}

// As Grafana does: as many points as the panel has pixels, unless it says how many or how far apart; rates look at four
// scrapes at least.
const interval = (panel, width) => rangeUtil.calculateInterval(timeRange, panel.maxDataPoints ?? width, panel.interval ?? `${SCRAPE}s`).intervalMs / 1000;

function expression(expr, step) {
  const values = { __rate_interval: `${Math.max(step + SCRAPE, 4 * SCRAPE)}s`, __interval: `${step}s`, __range: `${SECONDS}s` };
  return expr.replace(/\$\{?(\w+)\}?/g, (whole, name) => {
    if (values[name]) {
      return values[name];
    }
    return board.templating.list.some((variable) => variable.name === name) ? '.+' : whole;
  });
}

const number = (value) => (value === 'NaN' ? null : Number(value));
const name = (target, labels) =>
  target.legendFormat ? target.legendFormat.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => labels[label] ?? '') : labels.__name__ || (Object.keys(labels).length ? JSON.stringify(labels) : 'Value');

// The frames of one query, as Grafana's data source makes them.
async function frames(target, panel, width) {
  const step = interval(panel, width);
  const query = expression(target.expr, step);
  if (!target.instant) {
    const series = await ask('query_range', { query, start: from, end: to, step });
    return series.map(({ metric, values }) => ({
      refId: target.refId,
      fields: [
        { name: 'Time', type: FieldType.time, config: { interval: step * 1000 }, values: values.map(([at]) => at * 1000) },
        { name: 'Value', type: FieldType.number, labels: metric, config: { displayNameFromDS: name(target, metric) }, values: values.map(([, value]) => number(value)) },
      ],
    }));
  }
  const series = await ask('query', { query, time: to });
  if (target.format !== 'table') {
    return series.map(({ metric, value }) => ({
      refId: target.refId,
      fields: [
        { name: 'Time', type: FieldType.time, config: {}, values: [value[0] * 1000] },
        { name: 'Value', type: FieldType.number, labels: metric, config: target.legendFormat ? { displayNameFromDS: name(target, metric) } : {}, values: [number(value[1])] },
      ],
    }));
  }
  if (series.length === 0) {
    return [];
  }
  const labels = [...new Set(series.flatMap(({ metric }) => Object.keys(metric)))].sort();
  return [{
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, config: {}, values: series.map(({ value }) => value[0] * 1000) },
      ...labels.map((label) => ({ name: label, type: FieldType.string, config: { filterable: true }, values: series.map(({ metric }) => metric[label] ?? '') })),
      { name: panel.targets.length > 1 ? `Value #${target.refId}` : 'Value', type: FieldType.number, config: {}, values: series.map(({ value }) => number(value[1])) },
    ],
  }];
}

async function load(panel, width) {
  const asked = (await Promise.all((panel.targets ?? []).map((target) => frames(target, panel, width)))).flat().map(toDataFrame);
  let transformed = asked;
  if (panel.transformations?.length) {
    transformed = await new Promise((resolve) =>
      transformDataFrame(panel.transformations, asked, { interpolate: (text) => text }).subscribe(resolve)
    );
  }
  const defaults = {
    ...panel.fieldConfig.defaults,
    color: panel.fieldConfig.defaults.color ?? { mode: colorDefaults[panel.type] ?? 'thresholds' },
    thresholds: panel.fieldConfig.defaults.thresholds ?? { mode: 'absolute', steps: [{ color: 'green', value: -Infinity }, { color: 'red', value: 80 }] },
    custom: { ...customDefaults[panel.type], ...panel.fieldConfig.defaults.custom },
  };
  const fieldConfig = { ...panel.fieldConfig, defaults };
  const data = applyFieldOverrides({
    data: transformed, fieldConfig, fieldConfigRegistry: registry, replaceVariables: (text) => text, theme, timeZone,
  });
  return { data, fieldConfig };
}

const steps = (config) => ({ ...config, thresholds: config.thresholds && { ...config.thresholds, steps: config.thresholds.steps.map((step) => ({ ...step, value: step.value ?? -Infinity })) } });

function values(panel, { data, fieldConfig }) {
  return getFieldDisplayValues({
    fieldConfig: { ...fieldConfig, defaults: steps(fieldConfig.defaults) }, reduceOptions: panel.options.reduceOptions,
    replaceVariables: (text) => text, theme, data, timeZone,
  });
}

function Stat({ panel, loaded, width, height }) {
  const shown = values(panel, loaded);
  return (
    <div style={{ display: 'flex', gap: 6 }}>
      {shown.map(({ display }, index) => (
        <BigValue key={index} value={display} width={width / shown.length - (shown.length > 1 ? 3 : 0)} height={height} theme={theme} count={shown.length}
          colorMode={panel.options.colorMode} graphMode={panel.options.graphMode} textMode={panel.options.textMode} justifyMode="auto" />
      ))}
    </div>
  );
}

function Bars({ panel, loaded, width, height }) {
  const shown = values(panel, loaded);
  const alignmentFactors = getDisplayValueAlignmentFactors(shown);
  const each = Math.min(Math.max((height - 10 * (shown.length - 1)) / shown.length, 16), 300);
  return (
    <div style={{ display: 'flex', flexDirection: 'column', gap: 10 }}>
      {shown.map(({ display, field, view, colIndex }, index) => (
        <BarGauge key={index} value={display} field={field} display={view?.getFieldDisplayProcessor(colIndex)} width={width} height={each} theme={theme} alignmentFactors={alignmentFactors}
          orientation={panel.options.orientation} text={panel.options.text} displayMode={panel.options.displayMode} showUnfilled={true} valueDisplayMode="color" namePlacement="auto" />
      ))}
    </div>
  );
}

function Nothing({ text, width, height }) {
  return <div style={{ width, height, display: 'flex', alignItems: 'center', justifyContent: 'center' }}>{text ?? 'No data'}</div>;
}

function Rows({ panel, loaded, width, height }) {
  return (
    <Table data={loaded.data[0]} width={width} height={height} cellHeight={panel.options.cellHeight} initialSortBy={panel.options.sortBy} noHeader={!panel.options.showHeader}
      resizable={true} footerOptions={panel.options.footer} fieldConfig={loaded.fieldConfig} timeRange={timeRange} />
  );
}

function Lines({ panel, loaded, width, height }) {
  return (
    <TimeSeries frames={loaded.data} structureRev={1} timeRange={timeRange} timeZone={timeZone} width={width} height={height} legend={panel.options.legend} options={panel.options} />
  );
}

// The times that the axis names.
function ticks(width) {
  const step = [60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600].find((seconds) => SECONDS / seconds <= width / 90) ?? 86400;
  const first = Math.ceil(from / step) * step;
  const all = Array.from({ length: Math.floor((to - first) / step) + 1 }, (_, index) => first + index * step);
  // One at the edge would be cut off.
  return all.filter((at) => to - at > (SECONDS / width) * 16);
}

function States({ panel, loaded, width, height }) {
  const legendHeight = panel.options.legend.showLegend ? 30 : 0;
  const axis = 22;
  const series = loaded.data.map((frame) => ({ frame, field: frame.fields[1], times: frame.fields[0].values, name: getFieldDisplayName(frame.fields[1], frame, loaded.data) }));
  const left = Math.max(...series.map(({ name }) => name.length)) * 6.6 + 12;
  const each = (height - legendHeight - axis) / series.length;
  const x = (seconds) => left + ((seconds - from) / SECONDS) * (width - left);
  const seen = new Map();
  const boxes = series.flatMap(({ field, times }, row) => {
    const interval = field.config.interval ?? SCRAPE * 1000;
    const spans = [];
    times.forEach((time, index) => {
      const last = spans.at(-1);
      if (last && last.value === field.values[index] && time - last.until <= 3 * interval) {
        last.until = time;
      } else {
        if (last && time - last.until <= 3 * interval) {
          last.until = time;
        }
        spans.push({ value: field.values[index], since: time, until: time });
      }
    });
    return spans.map(({ value, since, until }) => {
      const display = field.display(value);
      seen.set(formattedValueToString(display), display.color);
      const top = row * each + (each * (1 - panel.options.rowHeight)) / 2;
      return (
        <rect key={`${row}-${since}`} x={x(since / 1000)} width={Math.max(x(until / 1000) - x(since / 1000), 2)} y={top} height={each * panel.options.rowHeight}
          fill={display.color} fillOpacity={(panel.fieldConfig.defaults.custom?.fillOpacity ?? 70) / 100} />
      );
    });
  });
  const text = { fill: theme.colors.text.primary, fontSize: 12, fontFamily: theme.typography.fontFamily };
  return (
    <div>
      <svg width={width} height={height - legendHeight} style={{ display: 'block' }}>
        {ticks(width - left).map((at) => (
          <g key={at}>
            <line x1={x(at)} x2={x(at)} y1={0} y2={height - legendHeight - axis} stroke="rgba(204,204,220,.12)" />
            <text {...text} x={x(at)} y={height - legendHeight - 4} textAnchor="middle">{new Date(at * 1000).toISOString().slice(11, 16)}</text>
          </g>
        ))}
        {boxes}
        {series.map(({ name }, row) => (
          <text {...text} key={name} x={left - 8} y={(row + 0.5) * each + 4} textAnchor="end">{name}</text>
        ))}
      </svg>
      {legendHeight > 0 && (
        <VizLegend displayMode={panel.options.legend.displayMode} placement="bottom" items={[...seen].map(([label, color]) => ({ label, color, yAxis: 1 }))} />
      )}
    </div>
  );
}

const kinds = { stat: Stat, bargauge: Bars, table: Rows, timeseries: Lines, 'state-timeline': States };

function Panel({ panel, loaded, width, height }) {
  const Kind = kinds[panel.type];
  const empty = loaded.error || (panel.type !== 'stat' && !loaded.data.some((frame) => frame.length > 0));
  return (
    <PanelChrome title={panel.title} width={width} height={height} padding={panel.type === 'stat' ? 'none' : 'md'}>
      {(innerWidth, innerHeight) =>
        empty ? <Nothing text={loaded.error ?? loaded.fieldConfig.defaults.noValue} width={innerWidth} height={innerHeight} />
          : <Kind panel={panel} loaded={loaded} width={innerWidth} height={innerHeight} />}
    </PanelChrome>
  );
}

const place = ({ gridPos }) => {
  const column = (WIDTH - 2 * EDGE + GAP) / 24;
  return {
    left: EDGE + gridPos.x * column, top: 96 + gridPos.y * 38,
    width: gridPos.w * column - GAP, height: gridPos.h * 38 - GAP,
  };
};

function Board({ panels }) {
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PanelContextProvider value={{ eventsScope: 'page', eventBus: new EventBusSrv() }}>
        <div style={{ display: 'flex', alignItems: 'center', gap: 16, padding: '14px 16px 0' }}>
          <strong style={{ fontSize: 18, fontWeight: 500 }}>{board.title}</strong>
          <span style={{ flex: 1 }} />
          {board.links.map(({ title }) => <span key={title} style={{ border: `1px solid ${theme.colors.border.medium}`, borderRadius: 2, padding: '3px 10px' }}>{title}</span>)}
          <span style={{ color: theme.colors.text.secondary }}>{timeRange.from.utc().format('YYYY-MM-DD HH:mm')} to {timeRange.to.utc().format('HH:mm')} UTC</span>
        </div>
        <div style={{ display: 'flex', gap: 8, padding: '10px 16px' }}>
          {board.templating.list.map(({ label, type }) => (
            <span key={label} style={{ display: 'inline-flex' }}>
              <span style={{ background: theme.colors.background.secondary, padding: '4px 8px', fontSize: 12 }}>{label}</span>
              <span style={{ border: `1px solid ${theme.colors.border.medium}`, padding: '3px 24px 3px 8px', fontSize: 12 }}>{type === 'datasource' ? 'Prometheus' : 'All'}</span>
            </span>
          ))}
        </div>
        {panels.map(({ panel, loaded }) => {
          const box = place(panel);
          return (
            <div key={panel.id} style={{ position: 'absolute', ...box }}>
              {panel.type === 'row' ? <div style={{ fontSize: 15, fontWeight: 500, paddingTop: 4 }}>{panel.title}</div> : <Panel panel={panel} loaded={loaded} width={box.width} height={box.height} />}
            </div>
          );
        })}
      </PanelContextProvider>
    </ThemeContext.Provider>
  );
}

async function main() {
  const panels = await Promise.all(
    board.panels.map(async (panel) => {
      if (panel.type === 'row') {
        return { panel };
      }
      try {
        return { panel, loaded: await load(panel, Math.round(place(panel).width)) };
      } catch (error) {
        console.error(`${panel.title}: ${error.stack}`);
        return { panel, loaded: { error: String(error) } };
      }
    })
  );
  createRoot(document.getElementById('root')).render(<Board panels={panels} />);
}

document.body.style.margin = 0;
document.body.style.background = theme.colors.background.canvas;
fieldReducers.list();
main().catch((error) => console.error(error.stack));
