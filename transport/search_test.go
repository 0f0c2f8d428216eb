package transport

import (
	"strings"
	"testing"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

func TestListPagesExecutionsNewestFirst(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	ctx := t.Context()
	first := s.start(t, c, "hold")
	second := s.start(t, c, "hold")
	if _, err := c.executions.Terminate(ctx, &apiv1.TerminateExecutionRequest{ExecutionId: second, Reason: "enough"}); err != nil {
		t.Errorf("terminate: %v", err)
	}
	list, err := c.executions.List(ctx, &apiv1.ListExecutionsRequest{Definition: "hold", Limit: 1})
	if err != nil || len(list.Executions) != 1 || list.Executions[0].Id != second || list.Next == "" || list.Total != 2 {
		t.Fatalf("list: got %v, %v", list, err)
	}
	list, err = c.executions.List(ctx, &apiv1.ListExecutionsRequest{Definition: "hold", Limit: 1, Cursor: list.Next})
	if err != nil || len(list.Executions) != 1 || list.Executions[0].Id != first {
		t.Errorf("second page: got %v, %v", list, err)
	}
	list, err = c.executions.List(ctx, &apiv1.ListExecutionsRequest{Status: apiv1.Execution_TERMINATED})
	if err != nil || len(list.Executions) != 1 || list.Executions[0].Reason != "enough" {
		t.Errorf("list by status: got %v, %v", list, err)
	}
}

func TestAQueryNarrowsAndOrdersExecutions(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	first, second, other := s.start(t, c, "hold"), s.start(t, c, "hold"), s.start(t, c, "greet")
	if _, err := c.executions.Terminate(t.Context(), &apiv1.TerminateExecutionRequest{ExecutionId: second, Reason: "bad paint"}); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		req  *apiv1.ListExecutionsRequest
		want []string
	}{
		"alternatives":         {&apiv1.ListExecutionsRequest{Query: "workflowType IN (hold, greet) AND status = 'RUNNING'"}, []string{other, first}},
		"precedence":           {&apiv1.ListExecutionsRequest{Query: "workflowType = greet OR workflowType = hold AND status = TERMINATED"}, []string{other, second}},
		"with a field beside":  {&apiv1.ListExecutionsRequest{Query: "workflowType = greet OR status = TERMINATED", Definition: "hold"}, []string{second}},
		"with a status beside": {&apiv1.ListExecutionsRequest{Query: "workflowType = hold", Status: apiv1.Execution_RUNNING}, []string{first}},
		"oldest first":         {&apiv1.ListExecutionsRequest{Sort: "startTime:ASC"}, []string{first, second, other}},
		"by another order":     {&apiv1.ListExecutionsRequest{Sort: "workflowType:DESC|startTime:DESC"}, []string{second, first, other}},
		"words":                {&apiv1.ListExecutionsRequest{Text: "paint"}, []string{second}},
		"nothing":              {&apiv1.ListExecutionsRequest{Query: "workflowType = nobody"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			test.req.Count, test.req.Limit = true, 1
			var got []string
			for {
				page, err := c.executions.List(t.Context(), test.req)
				if err != nil {
					t.Fatal(err)
				}
				if test.req.Cursor == "" && int(page.Total) != len(test.want) {
					t.Errorf("total is %d, want %d", page.Total, len(test.want))
				}
				for _, x := range page.Executions {
					got = append(got, x.Id)
				}
				if test.req.Cursor = page.Next; page.Next == "" {
					break
				}
			}
			if strings.Join(got, " ") != strings.Join(test.want, " ") {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestTasksAreFoundWithTheirExecutions(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	id := s.start(t, c, "greet")
	s.start(t, c, "hold")
	page, err := c.tasks.List(t.Context(), &apiv1.ListTasksRequest{Query: "taskType = mail AND status = SCHEDULED", Count: true})
	if err != nil || len(page.Tasks) != 1 || page.Tasks[0].Task.ExecutionId != id || page.Tasks[0].Definition != "greet" || page.Total != 1 {
		t.Fatalf("got %v, %v", page, err)
	}
	page, err = c.tasks.List(t.Context(), &apiv1.ListTasksRequest{Limit: 1})
	if err != nil || len(page.Tasks) != 1 || page.Next == "" || page.Tasks[0].Task.Kind != "WAIT" {
		t.Fatalf("first page: got %v, %v", page, err)
	}
	page, err = c.tasks.List(t.Context(), &apiv1.ListTasksRequest{Limit: 1, Cursor: page.Next})
	if err != nil || len(page.Tasks) != 1 || page.Next != "" || page.Tasks[0].Task.ExecutionId != id {
		t.Errorf("second page: got %v, %v", page, err)
	}
}

func TestAWrongQuerySaysWhereItIsWrong(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	list := func(r *apiv1.ListExecutionsRequest) error {
		_, err := c.executions.List(t.Context(), r)
		return err
	}
	tasks := func(r *apiv1.ListTasksRequest) error {
		_, err := c.tasks.List(t.Context(), r)
		return err
	}
	for _, test := range []struct {
		err         error
		field, says string
	}{
		{list(&apiv1.ListExecutionsRequest{Query: "status = FAILED AND wrkflowType = a"}), "query", `at character 21: found "wrkflowType", want one of workflowId`},
		{list(&apiv1.ListExecutionsRequest{Query: "status = FAILED AND", Definition: "hold"}), "query", "at character 20: found the end"},
		{list(&apiv1.ListExecutionsRequest{Query: "startTime > yesterday"}), "query", `at character 13: found "yesterday", want a number`},
		{list(&apiv1.ListExecutionsRequest{Sort: "input:ASC"}), "sort", "input cannot be sorted by"},
		{list(&apiv1.ListExecutionsRequest{Cursor: "banana"}), "cursor", "not one that a page before gave"},
		{list(&apiv1.ListExecutionsRequest{Limit: fsm.MaxSearch + 1}), "limit", "1 to 5000"},
		{tasks(&apiv1.ListTasksRequest{Query: "(taskType = a"}), "query", "at character 14: found the end"},
		{tasks(&apiv1.ListTasksRequest{Sort: "taskType:UP"}), "sort", "want ASC or DESC"},
	} {
		d, _ := detail(t, test.err)
		if d.Code != string(fsm.Malformed) || d.Field != test.field || !strings.Contains(d.Message, test.says) {
			t.Errorf("got %s, field %q: %q; want %q, %q", d.Code, d.Field, d.Message, test.field, test.says)
		}
	}
}
