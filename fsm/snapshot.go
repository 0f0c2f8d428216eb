package fsm

import (
	"iter"

	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/table"
)

// Table is one table of a View: its rows in key order, canonically encoded. A row is
// good only until the next is asked for.
type Table struct {
	ID   TableID
	Rows iter.Seq[[]byte]
}

// Tables gives the View's rows, tables in the order of their numbers. Load makes an
// equal State of them.
func (v View) Tables() iter.Seq[Table] { return v.tables(formStored) }

func (v View) tables(f form) iter.Seq[Table] {
	if v.s == nil {
		return func(func(Table) bool) {}
	}
	t := &v.s.tables
	list := [...]Table{
		{tableMeta, v.metaRow()},
		{tablePlans, t.plans.encoded(f)}, {tableDefinitions, t.definitions.encoded(f)},
		{tableTaskTypes, t.taskTypes.encoded(f)}, {tableQueues, t.queues.encoded(f)}, {tableLimits, t.limits.encoded(f)},
		{tableExecutions, t.executions.encoded(f)}, {tableTasks, t.tasks.encoded(f)}, {tableFragments, t.fragments.encoded(f)},
		{tableLatest, t.latest.encoded(f)}, {tableHeld, t.held.encoded(f)}, {tableIterations, t.iterations.encoded(f)},
		{tableBad, t.bad.encoded(f)}, {tableWaits, t.waits.encoded(f)}, {tableReady, t.ready.encoded(f)},
		{tableLeases, t.leases.encoded(f)}, {tableDue, t.due.encoded(f)}, {tableAgenda, t.agenda.encoded(f)},
		{tableKeys, t.keys.encoded(f)}, {tableRequests, t.requests.encoded(f)}, {tableRequestAges, t.requestAges.encoded(f)},
		{tableByTime, t.byTime.encoded(f)}, {tableByType, t.byType.encoded(f)}, {tableByStatus, t.byStatus.encoded(f)},
		{tableByCorrelation, t.byCorrelation.encoded(f)}, {tableByParent, t.byParent.encoded(f)},
		{tableSecrets, t.secrets.encoded(f)}, {tableEnvironment, t.environment.encoded(f)},
		{tableCache, t.cache.encoded(f)}, {tableParked, t.parked.encoded(f)},
		{tableInbox, t.inbox.encoded(f)},
	}
	return func(yield func(Table) bool) {
		for _, table := range list {
			if !yield(table) {
				return
			}
		}
	}
}

func (v View) metaRow() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		w := writer{b: []byte{byte(tableMeta)}}
		v.s.scalars.encode(&w)
		yield(w.b)
	}
}

// Load makes a State of the rows that Tables gave. Rows of a table must come in key
// order and tables in the order of their numbers. It refuses rows that do not decode,
// and a State whose digest is not want.
func Load(tables iter.Seq2[TableID, iter.Seq[[]byte]], want Digest) (*State, error) {
	s := New(0)
	for id, rows := range tables {
		if err := s.load(id, rows); err != nil {
			return nil, err
		}
	}
	if err := s.deriveFragments(); err != nil {
		return nil, err
	}
	s.deriveLookups()
	if s.Digest() != want {
		return nil, ErrCorrupt
	}
	for _, t := range s.tasks.tree.All() {
		s.noteOpen(t)
	}
	return s, nil
}

func (s *State) load(id TableID, rows iter.Seq[[]byte]) error {
	switch id {
	case tableMeta:
		return s.loadMeta(rows)
	case tablePlans:
		return loadRecords(s.plans, rows, decodePlan)
	case tableDefinitions:
		return loadRecords(s.definitions, rows, decodeDefinition)
	case tableTaskTypes:
		return loadRecords(s.taskTypes, rows, decodeTaskType)
	case tableQueues:
		return loadRecords(s.queues, rows, decodeQueue)
	case tableLimits:
		return loadRecords(s.limits, rows, decodeLimit)
	case tableExecutions:
		return loadRecords(s.executions, rows, decodeExecution)
	case tableTasks:
		return loadRecords(s.tasks, rows, decodeTask)
	case tableFragments:
		return loadRecords(s.fragments, rows, decodeFragment)
	case tableAgenda:
		return loadRecords(s.agenda, rows, decodeItem)
	}
	return s.loadRows(id, rows)
}

func (s *State) loadRows(id TableID, rows iter.Seq[[]byte]) error {
	switch id {
	case tableLatest:
		return loadRows(s.latest, rows, decodeLatest)
	case tableHeld:
		return loadRows(s.held, rows, decodeHeld)
	case tableIterations:
		return loadRows(s.iterations, rows, decodeIteration)
	case tableBad:
		return loadRows(s.bad, rows, decodeTaskKey)
	case tableWaits:
		return loadRows(s.waits, rows, decodeTaskKey)
	case tableReady:
		return loadRows(s.ready, rows, decodeReady)
	case tableLeases:
		return loadRows(s.leases, rows, decodeLease)
	case tableDue:
		return loadRows(s.due, rows, decodeDue)
	case tableKeys:
		return loadRows(s.keys, rows, decodeStart)
	case tableRequests:
		return loadRows(s.requests, rows, decodeRequest)
	case tableRequestAges:
		return loadRows(s.requestAges, rows, decodeRequestAge)
	case tableByTime:
		return loadRows(s.byTime, rows, decodeTime)
	case tableByType:
		return loadRows(s.byType, rows, decodeType)
	case tableByStatus:
		return loadRows(s.byStatus, rows, decodeStatus)
	case tableByCorrelation:
		return loadRows(s.byCorrelation, rows, decodeCorrelation)
	case tableByParent:
		return loadRows(s.byParent, rows, decodeParent)
	case tableSecrets:
		return loadRows(s.secrets, rows, decodeSettingRow)
	case tableEnvironment:
		return loadRows(s.environment, rows, decodeSettingRow)
	case tableCache:
		return loadRows(s.cache, rows, decodeCache)
	case tableParked:
		return loadRows(s.parked, rows, decodeParked)
	case tableInbox:
		return loadRows(s.inbox, rows, decodeInbox)
	}
	return ErrVersion
}

func (s *State) loadMeta(rows iter.Seq[[]byte]) error {
	for row := range rows {
		r := reader{b: row}
		if len(row) == 0 || TableID(row[0]) != tableMeta {
			return ErrCorrupt
		}
		r.b = row[1:]
		for r.next() {
			s.scalars.field(&r)
		}
		if r.err != nil {
			return r.err
		}
	}
	return nil
}

// loadRecords builds a table bottom-up and hashes its rows.
func loadRecords[K comparable, R any, P record[K, R]](t *records[K, R, P], rows iter.Seq[[]byte], decode func(r *reader) P) error {
	var err error
	compare := t.compare
	tree, loadErr := table.Load(compare, func(yield func(K, P) bool) {
		for row := range rows {
			if len(row) == 0 || TableID(row[0]) != t.id {
				err = ErrCorrupt
				return
			}
			r := reader{b: row[1:]}
			p := decode(&r)
			if r.err != nil {
				err = r.err
				return
			}
			m := p.header()
			p.encode(t.j.row(t.id))
			m.hash = t.j.rowHash()
			t.j.digest = t.j.digest.add(m.hash)
			if !yield(p.key(), p) {
				return
			}
		}
	})
	if err == nil {
		err = loadErr
	}
	t.tree = tree
	return err
}

func loadRows[K comparable, V any](t *rows[K, V], rows iter.Seq[[]byte], decode func(r *reader) (K, V)) error {
	var err error
	tree, loadErr := table.Load(t.compare, func(yield func(K, V) bool) {
		for row := range rows {
			if len(row) == 0 || TableID(row[0]) != t.id {
				err = ErrCorrupt
				return
			}
			r := reader{b: row[1:]}
			k, v := decode(&r)
			if r.err != nil {
				err = r.err
				return
			}
			t.j.digest = t.j.digest.add(t.hash(k, v))
			if !yield(k, v) {
				return
			}
		}
	})
	if err == nil {
		err = loadErr
	}
	t.tree = tree
	return err
}

// deriveLookups makes what a snapshot does not hold.
func (s *State) deriveLookups() {
	for id, q := range s.queues.tree.All() {
		s.queueIDs[q.name] = id
	}
	for id, p := range s.plans.tree.All() {
		s.planIDs[rowHash(p.source.raw)] = id
	}
}

func decodePlan(r *reader) *plan {
	p := &plan{}
	for r.next() {
		switch r.tag {
		case 1:
			p.id = planID(r.num())
		case 2:
			p.source = r.data()
		case 3:
			p.refs = r.num()
		default:
			r.unknown()
		}
	}
	if r.err == nil {
		if p.compiled, _ = def.Recompile(p.source.raw); p.compiled == nil {
			r.fail(ErrCorrupt)
		}
	}
	return p
}

func decodeDefinition(r *reader) *definition {
	d := &definition{}
	for r.next() {
		switch r.tag {
		case 1:
			d.name = r.str()
		case 2:
			d.version = r.int32()
		case 3:
			d.plan = planID(r.num())
		case 4:
			d.created = Millis(r.int())
		case 5:
			d.updated = Millis(r.int())
		default:
			r.unknown()
		}
	}
	return d
}

func decodeTaskType(r *reader) *taskType {
	t := &taskType{}
	for r.next() {
		switch r.tag {
		case 1:
			t.name = r.str()
		case 2:
			t.created = Millis(r.int())
		case 3:
			t.updated = Millis(r.int())
		case 4:
			if t.parsed, _ = def.ParseTaskType(r.bytes()); t.parsed == nil {
				r.fail(ErrCorrupt)
			}
		default:
			r.unknown()
		}
	}
	if r.err == nil && t.parsed == nil {
		r.fail(ErrCorrupt)
	}
	return t
}

func decodeQueue(r *reader) *queue {
	q := &queue{}
	for r.next() {
		switch r.tag {
		case 1:
			q.id = queueID(r.num32())
		case 2:
			q.name = Queue(r.str())
		case 3:
			q.limit = r.str()
		case 4:
			q.ready = r.num32()
		case 5:
			q.delayed = r.num32()
		case 6:
			q.leased = r.num32()
		case 7:
			q.paused = r.flag()
		case 8:
			q.seen = Millis(r.int())
		case 9:
			q.shared = r.flag()
		case 10:
			q.lanes = append(q.lanes, readLane(r))
		default:
			r.unknown()
		}
	}
	return q
}

func decodeLimit(r *reader) *limit {
	l := &limit{}
	for r.next() {
		switch r.tag {
		case 1:
			l.name = r.str()
		case 2:
			l.inflight = r.num32()
		case 3:
			l.grants = append(l.grants, readGranted(r))
		case 4:
			l.due.at = Millis(r.int())
		case 5:
			l.due.tie = r.num()
		case 6:
			l.lanes = append(l.lanes, queueID(r.num32()))
		case 7:
			l.queue = queueID(r.num32())
		default:
			r.unknown()
		}
	}
	return l
}
