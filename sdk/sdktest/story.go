package sdktest

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/pawlhq/pawl/cmd/pawl/server"
)

// pageSize is the most executions that one page of a listing has.
const pageSize = 1000

// execution is a run as a story tells it.
type execution struct {
	definition string
	version    int32
	status     string
	reason     string
	tasks      []task
}

// task is one attempt as a story tells it.
type task struct {
	id, ref, name, status, reason string
	retry, iteration              uint32
	child                         string // id of the execution that it started
	reported                      bool   // ended by a worker
}

// executions gives all executions that a node knows, by id, with the tasks of those
// that are wanted.
func executions(n *server.Node, wanted func(id string) bool) map[string]execution {
	v := n.View()
	all := make(map[string]execution)
	query := argument(v.List)
	query.Limit = pageSize
	for {
		page := v.List(query)
		for _, x := range page.Items {
			id := x.ID.String()
			if !wanted(id) {
				continue
			}
			e := execution{definition: x.Definition, version: x.Version, status: x.Status.String(), reason: x.Reason}
			for t := range v.Tasks(x.ID, 1) {
				k := task{
					id: t.ID.String(), ref: t.Ref, name: t.Name, status: t.Status.String(), reason: t.Reason,
					retry: t.Retry, iteration: t.Iteration, reported: t.DoneLease != 0,
				}
				if !t.Child.IsZero() {
					k.child = t.Child.String()
				}
				e.tasks = append(e.tasks, k)
			}
			all[id] = e
		}
		if query.After = page.Next; page.Next == "" {
			return all
		}
	}
}

// argument gives the zero value of what f takes.
func argument[In, Out any](func(In) Out) (zero In) { return zero }

// completions gives the ids of the tasks of a type that workers have completed.
func (c *Cluster) completions(taskType string) map[string]bool {
	ids := make(map[string]bool)
	for i := range c.nodes {
		n := c.server(i)
		if n == nil {
			continue
		}
		for _, e := range executions(n, func(string) bool { return true }) {
			for _, t := range e.tasks {
				if t.name == taskType && t.reported && t.status == "COMPLETED" {
					ids[t.id] = true
				}
			}
		}
	}
	return ids
}

// Story gives an execution and its tasks as text: one line each, in the order in which
// they were made, with the tasks of sub-workflows below the one that started them. It
// has no ids and no times, so that it can be compared with a golden file as long as the
// tasks of parallel branches are made in one order.
func (c *Cluster) Story(execution string) string {
	c.t.Helper()
	pause(look)
	for i := range c.nodes {
		n := c.server(i)
		if n == nil || lookAt(n).index < c.newest().index {
			continue
		}
		all := executions(n, func(string) bool { return true })
		e, ok := all[execution]
		if !ok {
			c.t.Fatalf("sdktest: no execution %s", execution)
		}
		var b strings.Builder
		tell(&b, all, e, "")
		return b.String()
	}
	c.t.Fatal("sdktest: all nodes are down")
	return ""
}

func tell(b *strings.Builder, all map[string]execution, e execution, indent string) {
	fmt.Fprintf(b, "%s%s version %d: %s%s\n", indent, e.definition, e.version, e.status, because(e.reason))
	indent += "  "
	for _, t := range e.tasks {
		fmt.Fprintf(b, "%s%s %s", indent, t.ref, t.name)
		if t.iteration > 0 {
			fmt.Fprintf(b, " round %d", t.iteration)
		}
		fmt.Fprintf(b, " attempt %d: %s%s\n", t.retry+1, t.status, because(t.reason))
		if child, ok := all[t.child]; ok {
			tell(b, all, child, indent+"  ")
		}
	}
}

// ids are the ids of executions and tasks.
var ids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return fmt.Sprintf(" (%s)", ids.ReplaceAllString(strings.Join(strings.Fields(reason), " "), "ID"))
}
