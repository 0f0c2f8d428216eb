package def

import (
	"strconv"

	"github.com/pawlhq/pawl/fsm/expr"
)

// What holds for a task type where its definition says nothing.
const (
	defaultRetries         = 3
	defaultRetryDelay      = 60
	defaultResponseTimeout = 3600
	defaultRateWindow      = 1
)

// ParseTaskType reads the definition of one task type. It returns the type, or
// everything that is wrong with the definition; then the type is nil.
func ParseTaskType(src []byte) (*TaskType, []Problem) {
	var r report
	raw := r.document(src)
	if raw == nil {
		return nil, r.problems
	}
	t := r.taskType(nil, raw, "")
	if expr.KindOf(raw) == expr.Map {
		r.taskTypeRules(t, raw)
	}
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return t, nil
}

// taskType reads a task type, registered or inside a step; name is used where it
// has none. What contradicts itself is only refused in registered ones: steps
// carry copies that nobody ever checked.
func (r *report) taskType(at *place, raw []byte, name string) *TaskType {
	rec := r.record(at, raw, taskTypeFields)
	for _, field := range []string{"inputSchema", "outputSchema"} {
		if schema := rec.raw(field); schema != nil {
			r.record(at.member(field), schema, schemaFields)
		}
	}
	t := &TaskType{
		Source:          raw,
		Name:            rec.text("name"),
		RetryCount:      atLeast(rec.int("retryCount", defaultRetries), 0),
		RetryDelay:      atLeast(rec.int("retryDelaySeconds", defaultRetryDelay), 0),
		BackoffScale:    atLeast(rec.boxed("backoffScaleFactor", 1), 1),
		MaxRetryDelay:   atLeast(rec.int("maxRetryDelaySeconds", 0), 0),
		BackoffJitter:   atLeast(rec.int("backoffJitterMs", 0), 0),
		Timeout:         rec.seconds("timeoutSeconds", 0),
		ResponseTimeout: rec.seconds("responseTimeoutSeconds", defaultResponseTimeout),
		PollTimeout:     rec.seconds("pollTimeoutSeconds", 0),
		TotalTimeout:    rec.seconds("totalTimeoutSeconds", 0),
		ConcurrentLimit: atLeast(rec.boxed("concurrentExecLimit", 0), 0),
		RateLimit:       atLeast(rec.boxed("rateLimitPerFrequency", 0), 0),
		RateWindow:      atLeast(rec.boxed("rateLimitFrequencyInSeconds", defaultRateWindow), 0),
		InputTemplate:   rec.raw("inputTemplate"),
		Isolation:       rec.text("isolationGroupId"),
		Namespace:       rec.text("executionNameSpace"),
		RuntimeMetadata: rec.names("runtimeMetadata"),
	}
	if t.Name == "" {
		t.Name = name
	}
	if t.RateWindow == 0 {
		t.RateWindow = defaultRateWindow
	}
	t.InputExpr = r.template(at.member("inputTemplate"), t.InputTemplate)
	r.policies(at, rec, t)
	return t
}

// policies reads the fields whose values are names.
func (r *report) policies(at *place, rec record, t *TaskType) {
	switch logic := rec.text("retryLogic"); logic {
	case "", "FIXED":
	case "EXPONENTIAL_BACKOFF":
		t.RetryLogic = Exponential
	case "LINEAR_BACKOFF":
		t.RetryLogic = Linear
	default:
		r.add(at.member("retryLogic"), "found "+quote(logic)+", allowed are FIXED, EXPONENTIAL_BACKOFF and LINEAR_BACKOFF")
	}
	switch policy := rec.text("timeoutPolicy"); policy {
	case "", "TIME_OUT_WF":
	case "RETRY":
		t.TimeoutPolicy = Retry
	case "ALERT_ONLY":
		t.TimeoutPolicy = AlertOnly
	default:
		r.add(at.member("timeoutPolicy"), "found "+quote(policy)+", allowed are RETRY, TIME_OUT_WF and ALERT_ONLY")
	}
}

// taskTypeRules checks a task type that is to be registered.
func (r *report) taskTypeRules(t *TaskType, raw []byte) {
	if t.Name == "" {
		r.add(rootField("name"), "TaskDef name cannot be null or empty")
	}
	if reserved(t.Name) {
		r.add(rootField("name"), "found "+quote(t.Name)+"; names that begin with $ are the server's own")
	}
	var quiet report // wrong sorts are in r already
	rec := quiet.record(nil, raw, taskTypeFields)
	for _, rule := range []struct {
		field   string
		least   int64
		absent  int64
		message string
	}{
		{"retryCount", 0, 0, "TaskDef retryCount: 0 must be >= 0"},
		{"backoffScaleFactor", 1, 1, "Backoff scale factor. Applicable for LINEAR_BACKOFF"},
		{"maxRetryDelaySeconds", 0, 0, "TaskDef maxRetryDelaySeconds: 0 must be >= 0"},
		{"backoffJitterMs", 0, 0, "TaskDef backoffJitterMs: 0 must be >= 0"},
		{"responseTimeoutSeconds", 1, defaultResponseTimeout, ""},
		{"pollTimeoutSeconds", 0, 0, "TaskDef pollTimeoutSeconds: 0 must be >= 0"},
		{"totalTimeoutSeconds", 0, 0, "TaskDef totalTimeoutSeconds: 0 must be >= 0"},
	} {
		n := rec.int(rule.field, rule.absent)
		if rule.field == "backoffScaleFactor" {
			n = rec.boxed(rule.field, rule.absent)
		}
		if n >= rule.least {
			continue
		}
		message := rule.message
		if message == "" {
			message = "TaskDef responseTimeoutSeconds: " + strconv.FormatInt(n, 10) + " should be minimum 1 second"
		}
		r.add(rootField(rule.field), message)
	}
	if t.Timeout > 0 && t.ResponseTimeout > t.Timeout {
		r.add(rootField("responseTimeoutSeconds"), "TaskDef: "+clip(t.Name)+" responseTimeoutSeconds: "+strconv.FormatInt(t.ResponseTimeout, 10)+
			" must be less than timeoutSeconds: "+strconv.FormatInt(t.Timeout, 10))
	}
	if t.TotalTimeout > 0 && t.Timeout > t.TotalTimeout {
		r.add(rootField("timeoutSeconds"), "TaskDef: "+clip(t.Name)+" timeoutSeconds: "+strconv.FormatInt(t.Timeout, 10)+
			" must be less than or equal to totalTimeoutSeconds: "+strconv.FormatInt(t.TotalTimeout, 10))
	}
}

// atLeast returns a value that has been found to fit 32 bits.
func atLeast(n int64, least int32) int32 { return max(int32(n), least) }

// maxDelay is the longest delay between attempts in seconds; what would be more
// is this.
const maxDelay = 1<<31 - 1

// RetryDelay returns how many seconds the attempt after a failed one waits,
// before jitter; failed is the number of attempts that failed before that one.
func RetryDelay(t *TaskType, failed uint32) int64 {
	delay := max(int64(t.RetryDelay), 0)
	switch t.RetryLogic {
	case Linear:
		if factor := int64(max(t.BackoffScale, 1)) * (int64(failed) + 1); delay > 0 && factor > maxDelay/delay {
			delay = maxDelay
		} else {
			delay *= factor
		}
	case Exponential:
		if failed > 31 && delay > 0 {
			delay = maxDelay
		} else {
			delay <<= min(failed, 31)
		}
	}
	delay = min(delay, maxDelay)
	if t.MaxRetryDelay > 0 {
		delay = min(delay, int64(t.MaxRetryDelay))
	}
	return delay
}
