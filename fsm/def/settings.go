package def

import "github.com/pawlhq/pawl/fsm/expr"

// Quota bounds how many executions of a definition run at a time, for each value of a
// key. It is rateLimitConfig.
type Quota struct {
	Key    *expr.Template // a string over the execution
	Limit  int32          // above 0
	Reject bool           // a start above the limit is refused; else it waits its turn
}

// Cache keeps the output of a step for steps of the same task definition whose key is
// the same. It is cacheConfig.
type Cache struct {
	Key *expr.Template // a string over the task's own input
	TTL int32          // seconds, above 0
}

// quota reads rateLimitConfig; without a limit or a key there is none.
func (r *report) quota(at *place, raw []byte) *Quota {
	if raw == nil {
		return nil
	}
	rec := r.record(at, raw, rateLimitFields)
	q := &Quota{Limit: int32(rec.int("concurrentExecLimit", 0))}
	switch policy := rec.text("policy"); policy {
	case "", "QUEUE":
	case "REJECT":
		q.Reject = true
	default:
		r.add(at.member("policy"), "found "+quote(policy)+", allowed are QUEUE and REJECT")
	}
	if q.Limit < 0 {
		r.add(at.member("concurrentExecLimit"), "must be greater than or equal to 0")
	}
	q.Key = r.template(at.member("rateLimitKey"), asString(rec.raw("rateLimitKey")))
	if q.Limit <= 0 || q.Key == nil {
		return nil
	}
	return q
}

// cache reads cacheConfig; without a time to live or a key there is none.
func (r *report) cache(at *place, raw []byte) *Cache {
	if raw == nil {
		return nil
	}
	rec := r.record(at, raw, cacheFields)
	c := &Cache{TTL: int32(rec.int("ttlInSecond", 0))}
	if c.TTL < 0 {
		r.add(at.member("ttlInSecond"), "must be greater than or equal to 0")
	}
	c.Key = r.template(at.member("key"), asString(rec.raw("key")))
	if c.TTL <= 0 || c.Key == nil {
		return nil
	}
	return c
}

// names reads a list of texts.
func (rec record) names(field string) []string {
	var out []string
	for el := range expr.Elements(rec.raw(field)) {
		if s, ok := textOf(el); ok {
			out = append(out, s)
		}
	}
	return out
}
