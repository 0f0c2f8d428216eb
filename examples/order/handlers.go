package order

import (
	"context"
	"fmt"
	"strings"

	pawl "github.com/pawlhq/pawl/sdk"
)

// noErrors is what the workflow's switch takes for a good order.
const noErrors = "none"

// Handlers gives w a handler for each task of the workflow.
func Handlers(w *pawl.Worker, o Options) {
	s := &services{o}
	pawl.Handle(w, "validate_order", s.validate)
	pawl.Handle(w, "calculate_tax", s.tax)
	pawl.Handle(w, "generate_invoice", s.invoice)
	pawl.Handle(w, "send_confirmation_sms", s.sms, pawl.WithConcurrency(o.SMSConcurrency))
	pawl.Handle(w, "notify_user", s.notify)
	pawl.Handle(w, "send_error_response", s.apologise)
}

type validation struct {
	Errors   string   `json:"errors"`
	Missing  []string `json:"missing"`
	NetCents int      `json:"netCents"`
}

// validate checks the order against the stock. An order that can never be right is a
// Terminal error; one that is out of stock is an answer, which the workflow acts on.
func (s *services) validate(ctx context.Context, t *pawl.Task[Order]) (validation, error) {
	v := validation{Errors: noErrors}
	if len(t.Input.Items) == 0 {
		return v, pawl.Terminal(fmt.Errorf("order %s has no items", t.Input.ID))
	}
	if err := s.database(ctx, attempt(s, t)); err != nil {
		return v, err // tried again, as the task type says
	}
	for i, item := range t.Input.Items {
		v.NetCents += item.Quantity * item.PriceCents
		if i == 0 && s.outOfStock(t.Input.ID) {
			v.Errors = "out_of_stock"
			v.Missing = append(v.Missing, item.SKU)
		}
	}
	return v, nil
}

type taxable struct {
	Country  string `json:"country"`
	NetCents int    `json:"netCents"`
}

type taxed struct {
	TaxCents int `json:"taxCents"`
}

// ratePercent has the tax of some countries; elsewhere it is 20 percent.
var ratePercent = map[string]int{"DE": 19, "LU": 17, "CH": 8, "US": 0}

func (s *services) tax(ctx context.Context, t *pawl.Task[taxable]) (taxed, error) {
	if err := s.work(ctx, attempt(s, t)); err != nil {
		return taxed{}, err
	}
	rate, known := ratePercent[t.Input.Country]
	if !known {
		rate = 20
	}
	return taxed{TaxCents: (t.Input.NetCents*rate + 50) / 100}, nil
}

type billable struct {
	ID       string `json:"id"`
	NetCents int    `json:"netCents"`
	TaxCents int    `json:"taxCents"`
}

type invoice struct {
	Number     string `json:"number"`
	TotalCents int    `json:"totalCents"`
}

// invoice writes the invoice. Its number comes from the order, not from a counter, so
// that a second attempt after a lost answer writes the same invoice again.
func (s *services) invoice(ctx context.Context, t *pawl.Task[billable]) (invoice, error) {
	if err := s.database(ctx, attempt(s, t)); err != nil {
		return invoice{}, err
	}
	return invoice{
		Number:     "INV-" + strings.ToUpper(t.Input.ID),
		TotalCents: t.Input.NetCents + t.Input.TaxCents,
	}, nil
}

type message struct {
	Phone   string `json:"phone"`
	Text    string `json:"text"`
	Invoice string `json:"invoice"`
	Parcel  string `json:"parcel"`
}

type sent struct {
	Message string `json:"message"`
}

// sms sends a text message. The gateway takes an idempotency key: the execution's id
// keeps a repeated attempt from sending a second message.
func (s *services) sms(ctx context.Context, t *pawl.Task[message]) (sent, error) {
	if err := s.gateway(ctx, attempt(s, t)); err != nil {
		return sent{}, err
	}
	return sent{Message: t.Input.Text}, nil
}

func (s *services) notify(ctx context.Context, t *pawl.Task[message]) (sent, error) {
	if err := s.work(ctx, attempt(s, t)); err != nil {
		return sent{}, err
	}
	if t.Input.Parcel == "" {
		return sent{Message: t.Input.Invoice + " is being packed"}, nil
	}
	return sent{Message: t.Input.Invoice + " is on its way as " + t.Input.Parcel}, nil
}

type complaint struct {
	ID      string   `json:"id"`
	Errors  string   `json:"errors"`
	Missing []string `json:"missing"`
}

func (s *services) apologise(ctx context.Context, t *pawl.Task[complaint]) (sent, error) {
	if err := s.work(ctx, attempt(s, t)); err != nil {
		return sent{}, err
	}
	return sent{Message: fmt.Sprintf("order %s: %s: %s", t.Input.ID, t.Input.Errors, strings.Join(t.Input.Missing, ", "))}, nil
}
