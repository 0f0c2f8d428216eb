package fsm

import (
	"cmp"

	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/table"
)

// TableID numbers the tables of State, in the order in which a snapshot holds them.
type TableID uint8

// The tables. Numbers are for ever.
const (
	tableMeta TableID = 1 + iota
	tablePlans
	tableDefinitions
	tableTaskTypes
	tableQueues
	tableLimits
	tableExecutions
	tableTasks
	tableFragments
	tableLatest
	tableHeld
	tableIterations
	tableBad
	tableWaits
	tableReady
	tableLeases
	tableDue
	tableAgenda
	tableKeys
	tableRequests
	tableRequestAges
	tableByTime
	tableByType
	tableByStatus
	tableByCorrelation
	tableByParent

	tableSecrets     TableID = 27
	tableEnvironment TableID = 28
	tableCache       TableID = 29
	tableParked      TableID = 30

	// 31 is used up.

	tableInbox TableID = 32
	tableEnd   TableID = 33 // one past the last
)

type (
	planID  uint64
	queueID uint32
)

// Keys. Each orders its table, and with it everything the machine walks.
type (
	latestKey struct {
		exec ExecID
		ref  string
	}
	heldKey struct {
		exec   ExecID
		list   heldList
		serial uint32
	}
	iterationKey struct {
		exec            ExecID
		loop, iteration uint32
		serial          uint32
	}
	readyKey struct {
		queue queueID
		lane  uint32 // 0: fair shares between keys would number lanes here
		rank  int64
		task  TaskID
	}
	leaseKey struct {
		node NodeID
		boot uint32
		task TaskID
	}
	dueKey struct {
		at  Millis
		tie uint64
	}
	definitionKey struct {
		name    string
		version int32
	}
	startKey struct{ name, key string }
	// Index keys: time descending, so that a walk gives the newest first.
	timeKey struct {
		created Millis
		exec    ExecID
	}
	typeKey struct {
		name    string
		created Millis
		exec    ExecID
	}
	statusKey struct {
		status  Status
		name    string
		created Millis
		exec    ExecID
	}
	correlationKey struct {
		corr string
		exec ExecID
	}
	parentKey struct{ parent, exec ExecID }
	openKey   struct {
		taskType string // as clients see it
		task     TaskID
	}
)

// heldList says which list of a run a held row belongs to. Stored.
type heldList uint8

const (
	heldBatch heldList = 1 + iota
	heldFin
	heldJoins
	heldLoops
	heldOverdue // timers to judge again when the execution is resumed
	heldExpand  // forks and other steps with an item of their own, to go on with when the execution is resumed
	heldItem    // kinds of other items at fault, to do again when the execution is resumed
	heldAside   // tasks at fault taken out of their queues, until the execution is resumed
)

// none is the value of rows that are nothing but their key.
type none struct{}

// tables is everything that State stores but its scalars.
type tables struct {
	plans       *records[planID, plan, *plan]
	definitions *records[definitionKey, definition, *definition]
	taskTypes   *records[string, taskType, *taskType]
	queues      *records[queueID, queue, *queue]
	limits      *records[string, limit, *limit]
	executions  *records[ExecID, execution, *execution]
	tasks       *records[TaskID, task, *task]
	fragments   *records[TaskID, fragment, *fragment]
	latest      *rows[latestKey, uint32]
	held        *rows[heldKey, none]
	iterations  *rows[iterationKey, none]
	bad         *rows[TaskID, none]
	waits       *rows[TaskID, none] // open WAIT and SUB_WORKFLOW records, for signals
	ready       *rows[readyKey, none]
	leases      *rows[leaseKey, Lease]
	due         *rows[dueKey, owner]
	agenda      *records[uint64, item, *item]
	keys        *rows[startKey, ExecID]
	requests    *rows[RequestID, answer]
	requestAges *rows[requestAge, RequestID]

	byTime        *rows[timeKey, none]
	byType        *rows[typeKey, none]
	byStatus      *rows[statusKey, none]
	byCorrelation *rows[correlationKey, none]
	byParent      *rows[parentKey, none]
	// openTasks are the SCHEDULED and IN_PROGRESS records. The tree is derived: in no
	// digest and no snapshot, and changed by index.go only.
	openTasks *table.Tree[openKey, none]

	secrets     *settings
	environment *settings
	cache       *rows[cacheKey, cached]
	parked      *rows[parkedKey, ExecID] // executions that wait for a quota or hold a part of one
	inbox       *rows[inboxKey, message] // messages that wait to be pulled, and records that wait for one
}

func newTables(j *journal) tables {
	t := tables{
		plans:         newRecords[planID, plan](tablePlans, j, cmp.Compare),
		definitions:   newRecords[definitionKey, definition](tableDefinitions, j, compareDefinition),
		taskTypes:     newRecords[string, taskType](tableTaskTypes, j, cmp.Compare),
		queues:        newRecords[queueID, queue](tableQueues, j, cmp.Compare),
		limits:        newRecords[string, limit](tableLimits, j, cmp.Compare),
		executions:    newRecords[ExecID, execution](tableExecutions, j, ExecID.Compare),
		tasks:         newRecords[TaskID, task](tableTasks, j, TaskID.Compare),
		fragments:     newRecords[TaskID, fragment](tableFragments, j, TaskID.Compare),
		latest:        newRows(tableLatest, j, compareLatest, encodeLatest),
		held:          newRows(tableHeld, j, compareHeld, encodeHeld),
		iterations:    newRows(tableIterations, j, compareIteration, encodeIteration),
		bad:           newRows(tableBad, j, TaskID.Compare, encodeTaskKey),
		waits:         newRows(tableWaits, j, TaskID.Compare, encodeTaskKey),
		ready:         newRows(tableReady, j, compareReady, encodeReady),
		leases:        newRows(tableLeases, j, compareLease, encodeLeaseRow),
		due:           newRows(tableDue, j, compareDue, encodeDue),
		agenda:        newRecords[uint64, item](tableAgenda, j, cmp.Compare),
		keys:          newRows(tableKeys, j, compareStart, encodeStart),
		requests:      newRows(tableRequests, j, compareRequest, encodeRequest),
		requestAges:   newRows(tableRequestAges, j, compareRequestAge, encodeRequestAge),
		byTime:        newRows(tableByTime, j, compareTime, encodeTime),
		byType:        newRows(tableByType, j, compareType, encodeType),
		byStatus:      newRows(tableByStatus, j, compareStatus, encodeStatus),
		byCorrelation: newRows(tableByCorrelation, j, compareCorrelation, encodeCorrelation),
		byParent:      newRows(tableByParent, j, compareParent, encodeParent),
		openTasks:     table.New[openKey, none](compareOpen),
		secrets:       newRows(tableSecrets, j, cmp.Compare, encodeSettingRow),
		environment:   newRows(tableEnvironment, j, cmp.Compare, encodeSettingRow),
		cache:         newRows(tableCache, j, compareCache, encodeCache),
		parked:        newRows(tableParked, j, compareParked, encodeParked),
		inbox:         newRows(tableInbox, j, compareInbox, encodeInbox),
	}
	t.executions.detach = (*execution).detach
	return t
}

// view is the tables as of now, for any goroutine to read.
func (t *tables) view() tables {
	return tables{
		plans: t.plans.view(), definitions: t.definitions.view(), taskTypes: t.taskTypes.view(),
		queues: t.queues.view(), limits: t.limits.view(), executions: t.executions.view(),
		tasks: t.tasks.view(), fragments: t.fragments.view(), latest: t.latest.view(), held: t.held.view(),
		iterations: t.iterations.view(), bad: t.bad.view(), waits: t.waits.view(), ready: t.ready.view(), leases: t.leases.view(),
		due: t.due.view(), agenda: t.agenda.view(), keys: t.keys.view(), requests: t.requests.view(), requestAges: t.requestAges.view(),
		byTime: t.byTime.view(), byType: t.byType.view(), byStatus: t.byStatus.view(),
		byCorrelation: t.byCorrelation.view(), byParent: t.byParent.view(),
		openTasks: t.openTasks.View(),
		secrets:   t.secrets.view(), environment: t.environment.view(), cache: t.cache.view(), parked: t.parked.view(),
		inbox: t.inbox.view(),
	}
}

// settle closes an entry: hashes what it changed and forgets how to undo it.
func (t *tables) settle() {
	t.plans.settle()
	t.definitions.settle()
	t.taskTypes.settle()
	t.queues.settle()
	t.limits.settle()
	t.executions.settle()
	t.tasks.settle()
	t.fragments.settle()
	t.agenda.settle()
	t.latest.settle()
	t.held.settle()
	t.iterations.settle()
	t.bad.settle()
	t.waits.settle()
	t.ready.settle()
	t.leases.settle()
	t.due.settle()
	t.keys.settle()
	t.requests.settle()
	t.requestAges.settle()
	t.byTime.settle()
	t.byType.settle()
	t.byStatus.settle()
	t.byCorrelation.settle()
	t.byParent.settle()
	t.secrets.settle()
	t.environment.settle()
	t.cache.settle()
	t.parked.settle()
	t.inbox.settle()
}

// plan is the compiled form of a definition's bytes, shared by every registered
// version and execution that has them.
type plan struct {
	meta
	id       planID
	source   Data
	refs     uint64 // registered versions and live executions; the plan goes at 0
	compiled *def.Plan
}

func (p *plan) key() planID { return p.id }
func (p *plan) encode(w *writer) {
	w.num(1, uint64(p.id))
	w.data(2, p.source)
	w.num(3, p.refs)
}

// definition is a registered version.
type definition struct {
	meta
	name             string
	version          int32
	plan             planID
	created, updated Millis
}

func (d *definition) key() definitionKey { return definitionKey{name: d.name, version: d.version} }
func (d *definition) encode(w *writer) {
	w.str(1, d.name)
	w.int(2, int64(d.version))
	w.num(3, uint64(d.plan))
	w.int(4, int64(d.created))
	w.int(5, int64(d.updated))
}

// taskType is a registered task type.
type taskType struct {
	meta
	name             string
	created, updated Millis
	parsed           *def.TaskType
}

func (t *taskType) key() string { return t.name }
func (t *taskType) encode(w *writer) {
	w.str(1, t.name)
	w.int(2, int64(t.created))
	w.int(3, int64(t.updated))
	w.bytes(4, t.parsed.Source)
}

// queue is an interned queue name with its counts.
type queue struct {
	meta
	id      queueID
	name    Queue
	limit   string // task type whose limit its tasks count against
	shared  bool   // its tasks count against the limits of several types
	lanes   []lane // of a shared queue: types with a limit that have ready tasks
	ready   uint32
	delayed uint32
	leased  uint32
	paused  bool
	seen    Millis // last time a worker is known to have asked, kept for domains
}

func (q *queue) key() queueID { return q.id }
func (q *queue) encode(w *writer) {
	w.num(1, uint64(q.id))
	w.str(2, string(q.name))
	w.str(3, q.limit)
	w.num(4, uint64(q.ready))
	w.num(5, uint64(q.delayed))
	w.num(6, uint64(q.leased))
	w.flag(7, q.paused)
	w.int(8, int64(q.seen))
	w.flag(9, q.shared)
	for _, l := range q.lanes {
		w.nest(10, func(w *writer) { w.num(1, uint64(l.n)); w.str(2, l.limit); w.num(3, uint64(l.ready)) })
	}
}

// limit counts the leased tasks of a type over all its queues and domains, or the
// executions that hold a quota.
type limit struct {
	meta
	name     string
	inflight uint32
	grants   []granted // the last leases, ascending, while the type has a rate
	due      dueKey    // armed for the time at which a full window allows another lease
	lanes    []queueID // shared queues with a lane for it
	queue    queueID   // that the last lease was from, while the type has a rate
}

func (l *limit) key() string { return l.name }
func (l *limit) encode(w *writer) {
	w.str(1, l.name)
	w.num(2, uint64(l.inflight))
	for _, g := range l.grants {
		w.nest(3, func(w *writer) { w.int(1, int64(g.at)); w.num(2, uint64(g.n)) })
	}
	w.int(4, int64(l.due.at))
	w.num(5, l.due.tie)
	for _, id := range l.lanes {
		w.num(6, uint64(id))
	}
	w.num(7, uint64(l.queue))
}
