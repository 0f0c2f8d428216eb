package sdktest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	pawl "github.com/pawlhq/pawl/sdk"
	"github.com/pawlhq/pawl/sdk/sdktest"
)

// run stands for the testing.TB that a test function has.
type run struct {
	testing.TB
	cleanups []func()
}

func (r *run) Helper()                      {}
func (r *run) Name() string                 { return "Example" }
func (r *run) Failed() bool                 { return false }
func (r *run) Cleanup(f func())             { r.cleanups = append(r.cleanups, f) }
func (r *run) Errorf(f string, args ...any) { fmt.Printf(f+"\n", args...) }
func (r *run) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

func (r *run) TempDir() string {
	dir, err := os.MkdirTemp("", "sdktest")
	if err != nil {
		panic(err)
	}
	r.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (r *run) end() {
	for i := len(r.cleanups) - 1; i >= 0; i-- {
		r.cleanups[i]()
	}
}

const (
	chargeType = `{"name": "charge", "retryCount": 3, "retryLogic": "FIXED", "retryDelaySeconds": 600,
		"timeoutSeconds": 0, "timeoutPolicy": "RETRY", "responseTimeoutSeconds": 60, "ownerEmail": "a@example.com"}`
	subscription = `{"name": "subscription", "version": 1, "schemaVersion": 2, "ownerEmail": "a@example.com",
		"timeoutSeconds": 0, "timeoutPolicy": "ALERT_ONLY", "tasks": [
		{"name": "trial", "taskReferenceName": "trial", "type": "WAIT", "inputParameters": {"duration": "30 days"}},
		{"name": "charge", "taskReferenceName": "charge", "type": "SIMPLE"}]}`
)

type bill struct {
	Cents int `json:"cents"`
}

// chargeAtSecond gives a handler that the bank refuses at first.
func chargeAtSecond(_ context.Context, task *pawl.Task[bill]) (bill, error) {
	if task.Attempt == 1 {
		return bill{}, errors.New("the bank is closed")
	}
	return bill{Cents: 499}, nil
}

func ExampleStart() {
	t := &run{} // in a test: its *testing.T
	defer t.end()
	c := sdktest.Start(t, 1, chargeType, subscription)
	w := pawl.NewWorker(c.Client)
	pawl.Handle(w, "charge", chargeAtSecond)
	c.Work(w)
	e, err := pawl.Definition[bill, bill]{Name: "subscription"}.Start(context.Background(), c.Client, bill{})
	if err != nil {
		fmt.Println(err)
		return
	}
	c.Advance(29 * 24 * time.Hour)
	fmt.Print(c.Story(e.ID))
	c.Advance(24*time.Hour + 10*time.Minute)
	_, err = e.Wait(context.Background())
	fmt.Print(err, "\n", c.Story(e.ID))
	// Output:
	// subscription version 1: RUNNING
	//   trial trial attempt 1: IN_PROGRESS
	// <nil>
	// subscription version 1: COMPLETED
	//   trial trial attempt 1: COMPLETED
	//   charge charge attempt 1: FAILED (the bank is closed)
	//   charge charge attempt 2: COMPLETED
}

func ExampleCluster_Kill() {
	t := &run{} // in a test: its *testing.T
	defer t.end()
	c := sdktest.Start(t, 3, chargeType, subscription)
	w := pawl.NewWorker(c.Client)
	pawl.Handle(w, "charge", chargeAtSecond)
	c.Work(w)
	e, err := pawl.Definition[bill, bill]{Name: "subscription"}.Start(context.Background(), c.Client, bill{})
	if err != nil {
		fmt.Println(err)
		return
	}
	dead := c.Leader()
	c.Kill(dead)
	c.Restart(dead)
	c.Advance(31 * 24 * time.Hour)
	_, err = e.Wait(context.Background())
	fmt.Println("ended:", err)
	// Output: ended: <nil>
}

func ExampleCluster_LoseNextCompletion() {
	t := &run{} // in a test: its *testing.T
	defer t.end()
	c := sdktest.Start(t, 1, chargeType, subscription)
	charges := 0
	w := pawl.NewWorker(c.Client)
	pawl.Handle(w, "charge", func(context.Context, *pawl.Task[bill]) (bill, error) {
		charges++
		return bill{Cents: 499}, nil
	})
	c.Work(w)
	c.LoseNextCompletion("charge")
	e, err := pawl.Definition[bill, bill]{Name: "subscription"}.Start(context.Background(), c.Client, bill{})
	if err != nil {
		fmt.Println(err)
		return
	}
	c.Advance(30 * 24 * time.Hour)
	_, err = e.Wait(context.Background())
	fmt.Println(err, charges)
	// Output: <nil> 1
}
