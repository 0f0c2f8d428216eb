package def

import "testing"

func TestParseTaskTypeDefaults(t *testing.T) {
	got, problems := ParseTaskType([]byte(`{"name":"t"}`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := TaskType{Name: "t", RetryCount: 3, RetryLogic: Fixed, RetryDelay: 60, BackoffScale: 1, TimeoutPolicy: TimeOutWorkflow, ResponseTimeout: 3600, RateWindow: 1}
	source := got.Source
	if got.Source = nil; string(source) != `{"name":"t"}` || !sameType(*got, want) {
		t.Errorf("got %+v, want %+v", *got, want)
	}
}

// sameType compares all but the parts that are slices or pointers.
func sameType(a, b TaskType) bool {
	return a.Name == b.Name && a.RetryCount == b.RetryCount && a.RetryLogic == b.RetryLogic && a.RetryDelay == b.RetryDelay &&
		a.BackoffScale == b.BackoffScale && a.MaxRetryDelay == b.MaxRetryDelay && a.BackoffJitter == b.BackoffJitter &&
		a.Timeout == b.Timeout && a.TimeoutPolicy == b.TimeoutPolicy && a.ResponseTimeout == b.ResponseTimeout &&
		a.PollTimeout == b.PollTimeout && a.TotalTimeout == b.TotalTimeout && a.ConcurrentLimit == b.ConcurrentLimit &&
		a.RateLimit == b.RateLimit && a.RateWindow == b.RateWindow && a.Isolation == b.Isolation && a.Namespace == b.Namespace
}

func TestParseTaskTypeReadsEveryField(t *testing.T) {
	got, problems := ParseTaskType([]byte(`{"name":"t","retryCount":1,"retryLogic":"LINEAR_BACKOFF","retryDelaySeconds":2,"backoffScaleFactor":3,
		"maxRetryDelaySeconds":4,"backoffJitterMs":5,"timeoutSeconds":60,"timeoutPolicy":"RETRY","responseTimeoutSeconds":60,"pollTimeoutSeconds":8,
		"totalTimeoutSeconds":90,"concurrentExecLimit":10,"rateLimitPerFrequency":11,"rateLimitFrequencyInSeconds":12,"inputTemplate":{"k":"${workflow.input.k}"},
		"isolationGroupId":"iso","executionNameSpace":"ns","inputKeys":["a"],"outputKeys":[],"ownerEmail":"user@example.test","runtimeMetadata":[],
		"baseType":"b","taskStatusListenerEnabled":true,"enforceSchema":false,"createTime":1,"createdBy":"u"}`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := TaskType{Name: "t", RetryCount: 1, RetryLogic: Linear, RetryDelay: 2, BackoffScale: 3, MaxRetryDelay: 4, BackoffJitter: 5,
		Timeout: 60, TimeoutPolicy: Retry, ResponseTimeout: 60, PollTimeout: 8, TotalTimeout: 90, ConcurrentLimit: 10, RateLimit: 11, RateWindow: 12,
		Isolation: "iso", Namespace: "ns"}
	if !sameType(*got, want) {
		t.Errorf("got %+v, want %+v", *got, want)
	}
	if string(got.InputTemplate) != `{"k":"${workflow.input.k}"}` || got.InputExpr == nil || got.InputExpr.Constant() {
		t.Errorf("input template: got %s, %v", got.InputTemplate, got.InputExpr)
	}
}

func TestParseTaskTypeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		src  string
		want Problem
	}{
		"no name":            {`{}`, Problem{"name", "TaskDef name cannot be null or empty"}},
		"retries":            {`{"name":"t","retryCount":-1}`, Problem{"retryCount", "TaskDef retryCount: 0 must be >= 0"}},
		"response":           {`{"name":"t","responseTimeoutSeconds":0}`, Problem{"responseTimeoutSeconds", "TaskDef responseTimeoutSeconds: 0 should be minimum 1 second"}},
		"response null":      {`{"name":"t","responseTimeoutSeconds":null}`, Problem{"responseTimeoutSeconds", "should be minimum 1 second"}},
		"poll":               {`{"name":"t","pollTimeoutSeconds":-5}`, Problem{"pollTimeoutSeconds", "TaskDef pollTimeoutSeconds: 0 must be >= 0"}},
		"scale":              {`{"name":"t","backoffScaleFactor":0}`, Problem{"backoffScaleFactor", "Backoff scale factor. Applicable for LINEAR_BACKOFF"}},
		"cap":                {`{"name":"t","maxRetryDelaySeconds":-1}`, Problem{"maxRetryDelaySeconds", "TaskDef maxRetryDelaySeconds: 0 must be >= 0"}},
		"jitter":             {`{"name":"t","backoffJitterMs":-1}`, Problem{"backoffJitterMs", "TaskDef backoffJitterMs: 0 must be >= 0"}},
		"total":              {`{"name":"t","totalTimeoutSeconds":-1}`, Problem{"totalTimeoutSeconds", "TaskDef totalTimeoutSeconds: 0 must be >= 0"}},
		"response > timeout": {`{"name":"t","timeoutSeconds":60}`, Problem{"responseTimeoutSeconds", "TaskDef: t responseTimeoutSeconds: 3600 must be less than timeoutSeconds: 60"}},
		"timeout > total":    {`{"name":"t","timeoutSeconds":60,"responseTimeoutSeconds":9,"totalTimeoutSeconds":59}`, Problem{"timeoutSeconds", "must be less than or equal to totalTimeoutSeconds: 59"}},
		"logic":              {`{"name":"t","retryLogic":"fixed"}`, Problem{"retryLogic", "allowed are FIXED, EXPONENTIAL_BACKOFF and LINEAR_BACKOFF"}},
		"policy":             {`{"name":"t","timeoutPolicy":"x"}`, Problem{"timeoutPolicy", "allowed are RETRY, TIME_OUT_WF and ALERT_ONLY"}},
		"field":              {`{"name":"t","retries":1}`, Problem{"retries", "unknown field"}},
		"template":           {`{"name":"t","inputTemplate":{"k":"${a[}"}}`, Problem{"inputTemplate.k", "${a[} is not valid"}},
		"list":               {`[]`, Problem{"", "allowed is an object"}},
		"not JSON":           {`{`, Problem{"", "not JSON"}},
	} {
		if got, problems := ParseTaskType([]byte(c.src)); got != nil || !mentions(problems, c.want) {
			t.Errorf("%s: got %v, want %v", name, problems, c.want)
		}
	}
	if _, problems := ParseTaskType([]byte(`{"name":"t","timeoutSeconds":60,"responseTimeoutSeconds":60,"totalTimeoutSeconds":60,"retryCount":99,"pollTimeoutSeconds":null}`)); len(problems) > 0 {
		t.Errorf("equal limits: got %v", problems)
	}
}

func TestRetryDelay(t *testing.T) {
	for _, c := range []struct {
		t      TaskType
		failed uint32
		want   int64
	}{
		{TaskType{RetryDelay: 7}, 5, 7},
		{TaskType{RetryDelay: 0, RetryLogic: Exponential}, 50, 0},
		{TaskType{RetryDelay: 2, RetryLogic: Exponential}, 0, 2},
		{TaskType{RetryDelay: 2, RetryLogic: Exponential}, 1, 4},
		{TaskType{RetryDelay: 2, RetryLogic: Exponential}, 3, 16},
		{TaskType{RetryDelay: 1, RetryLogic: Exponential}, 31, 2147483647},
		{TaskType{RetryDelay: 2147483647, RetryLogic: Exponential}, 31, 2147483647},
		{TaskType{RetryDelay: 3, RetryLogic: Exponential}, 4294967295, 2147483647},
		{TaskType{RetryDelay: 2, RetryLogic: Linear, BackoffScale: 3}, 0, 6},
		{TaskType{RetryDelay: 2, RetryLogic: Linear, BackoffScale: 3}, 4, 30},
		{TaskType{RetryDelay: 2, RetryLogic: Linear}, 4, 10},
		{TaskType{RetryDelay: 0, RetryLogic: Linear, BackoffScale: 3}, 4, 0},
		{TaskType{RetryDelay: 2147483647, RetryLogic: Linear, BackoffScale: 2147483647}, 4294967295, 2147483647},
		{TaskType{RetryDelay: 2, RetryLogic: Exponential, MaxRetryDelay: 5}, 3, 5},
		{TaskType{RetryDelay: 2, MaxRetryDelay: 1}, 3, 1},
		{TaskType{RetryDelay: 2, RetryLogic: Exponential, MaxRetryDelay: 5}, 4294967295, 5},
	} {
		if got := RetryDelay(&c.t, c.failed); got != c.want {
			t.Errorf("%+v after %d: got %d, want %d", c.t, c.failed, got, c.want)
		}
	}
}
