package sdktest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	pawl "github.com/pawlhq/pawl/sdk"
	"github.com/pawlhq/pawl/sdk/sdktest"
)

// read gives a document of the order example.
func read(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile("../../examples/order/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestOrdersRunToTheirEnd(t *testing.T) {
	t.Parallel()
	var types []json.RawMessage
	if err := json.Unmarshal(read(t, "tasktypes.json"), &types); err != nil {
		t.Fatal(err)
	}
	c := sdktest.Start(t, 3)
	w := pawl.NewWorker(c.Client)
	answer := map[string]values{
		"validate_order":   {"errors": "none", "netCents": 1000},
		"calculate_tax":    {"taxCents": 190},
		"generate_invoice": {"number": "INV-1", "totalCents": 1190},
		"notify_user":      {"message": "on its way"},
	}
	for _, source := range types {
		if err := c.Client.Apply(t.Context(), source); err != nil {
			t.Fatal(err)
		}
		var doc struct{ Name string }
		if err := json.Unmarshal(source, &doc); err != nil {
			t.Fatal(err)
		}
		pawl.Handle(w, doc.Name, func(_ context.Context, task *pawl.Task[values]) (values, error) {
			if task.Name == "send_confirmation_sms" && task.Attempt <= 3 {
				return nil, fmt.Errorf("gateway refuses call %d", task.Attempt)
			}
			return answer[task.Name], nil
		})
	}
	if err := c.Client.Apply(t.Context(), read(t, "order.json")); err != nil {
		t.Fatal(err)
	}
	c.Work(w)
	e := start(t, c, "order")
	c.Advance(30 * time.Second)
	if err := ends(t, e); err != nil {
		t.Error(err)
	}
	same(t, c.Story(e.ID), `
		order version 1: COMPLETED
		  validate validate_order attempt 1: COMPLETED
		  any_errors any_errors attempt 1: COMPLETED
		  tax calculate_tax attempt 1: COMPLETED
		  invoice generate_invoice attempt 1: COMPLETED
		  sms send_confirmation_sms attempt 1: FAILED (gateway refuses call 1)
		  sms send_confirmation_sms attempt 2: FAILED (gateway refuses call 2)
		  sms send_confirmation_sms attempt 3: FAILED (gateway refuses call 3)
		  sms send_confirmation_sms attempt 4: COMPLETED
		  fulfilment wait_for_fulfilment attempt 1: COMPLETED
		  notify notify_user attempt 1: COMPLETED
		`)
}
