// What a dashboard of ours may be: Grafana's own types, put together where those leave a panel's options and queries open. The queries'
// own fields are in no published schema; those that we use stand here.
import type { DataQuery } from '@grafana/schema';
import type { Dashboard, FieldConfigSource, GridPos, Panel, VariableModel } from '@grafana/schema/dist/types/raw/dashboard/x/dashboard_types.gen';
import type { FieldConfig as TableField, Options as Table } from '@grafana/schema/dist/types/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type { FieldConfig as SeriesField, Options as Series } from '@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

interface Source {
  type: 'prometheus' | 'grafana-postgresql-datasource';
  uid: 'llmload-prometheus' | 'llmload-postgres';
}

interface PromQuery extends Omit<DataQuery, 'datasource'> {
  datasource: Source;
  expr: string;
  legendFormat: string;
  range?: boolean;
}

interface SqlQuery extends Omit<DataQuery, 'datasource'> {
  datasource: Source;
  rawSql: string;
  rawQuery: true;
  editorMode: 'code';
  format: 'table' | 'time_series';
}

type Of<Type extends string, Options, Field> = Omit<Panel, 'type' | 'options' | 'targets' | 'fieldConfig' | 'datasource' | 'id' | 'title' | 'gridPos'> & {
    id: number;
    title: string;
    gridPos: GridPos;
    type: Type;
    options: Partial<Options>;
    datasource: Source;
    targets: PromQuery[] | SqlQuery[];
    fieldConfig: Omit<FieldConfigSource, 'defaults'> & {
      defaults: Omit<FieldConfigSource['defaults'], 'custom'> & { custom?: Partial<Field> };
    };
  };

export type Ours = Omit<Dashboard, 'panels' | 'uid' | 'title' | 'templating'> & {
    uid: string;
    title: string;
    templating: { list: VariableModel[] };
    panels: Array<Of<'timeseries', Series, SeriesField> | Of<'table', Table, TableField>>;
  };
