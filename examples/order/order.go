// Package order is an example of a workflow and its worker: an order is checked,
// invoiced, confirmed by text message and, once the parcel is on its way, announced to
// the customer. What is out of stock is answered with an apology.
//
// order.json is the workflow, tasktypes.json says how often and how soon its tasks are
// tried again, and Handlers is the worker. The services behind it are fakes that fail
// as real ones do; Options says how often.
package order

import (
	"context"
	_ "embed" // the documents
	"encoding/json"
	"fmt"

	pawl "github.com/pawlhq/pawl/sdk"
)

// Workflow is the workflow with its types.
var Workflow = pawl.Definition[Order, Receipt]{Name: "order"}

// FulfilmentRef is the reference name of the WAIT for the parcel. A signal with a
// Fulfilment ends it; without one it ends by itself after two seconds.
const FulfilmentRef = "fulfilment"

// Definition is the workflow as JSON.
//
//go:embed order.json
var Definition []byte

//go:embed tasktypes.json
var taskTypes []byte

// Order is what a customer asks for: the input of the workflow.
type Order struct {
	ID      string `json:"id"`
	Country string `json:"country"` // two letters
	Phone   string `json:"phone"`
	Items   []Item `json:"items"`
}

// Item is one line of an order.
type Item struct {
	SKU        string `json:"sku"`
	Quantity   int    `json:"quantity"`
	PriceCents int    `json:"priceCents"`
}

// Fulfilment is the payload of the signal that the parcel is on its way.
type Fulfilment struct {
	Parcel string `json:"parcel"`
}

// Receipt is what became of an order: the output of the workflow. Either Errors is
// "none", or Apology says what is wrong.
type Receipt struct {
	ID         string `json:"id"`
	Errors     string `json:"errors"`
	Invoice    string `json:"invoice"`
	TotalCents int    `json:"totalCents"`
	Parcel     string `json:"parcel"` // empty when nobody said
	Message    string `json:"message"`
	Apology    string `json:"apology"`
}

// TaskTypes gives the task types, each as a JSON document of its own.
func TaskTypes() ([]json.RawMessage, error) {
	var types []json.RawMessage
	if err := json.Unmarshal(taskTypes, &types); err != nil {
		return nil, fmt.Errorf("task types: %w", err)
	}
	return types, nil
}

// Register makes the workflow and its task types known to the cluster. Doing it again
// changes nothing, so every worker does it when it starts.
func Register(ctx context.Context, c *pawl.Client) error {
	types, err := TaskTypes()
	if err != nil {
		return err
	}
	for _, source := range types {
		if err := c.Apply(ctx, source); err != nil {
			return err
		}
	}
	return c.Apply(ctx, Definition)
}
