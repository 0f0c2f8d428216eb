package pawl

import (
	"context"
	"fmt"
	"iter"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// Search says which executions or tasks are wanted. The zero value wants all.
type Search struct {
	// Query is conditions in Conductor's language, such as
	// status = FAILED AND startTime > 1700000000000.
	Query string
	// Text is words and "quoted phrases", each of which some field has.
	Text string
	// Sort is field:ASC or field:DESC, several separated by |; newest first when empty.
	Sort string
	// Limit bounds how many are given in all; 0: as many as there are.
	Limit int
}

// pageLimit is how many are asked for at a time.
const pageLimit = 1000

// Search gives the executions that s wants, without their payloads, page by page as they
// are taken. An error is the last that it gives; that of a wrong query is an *Error that
// says where it is wrong. What changes meanwhile may be given or not.
func (c *Client) Search(ctx context.Context, s Search) iter.Seq2[*apiv1.Execution, error] {
	return pages(s.Limit, func(cursor string, limit int32) ([]*apiv1.Execution, string, error) {
		resp, err := c.executions.List(ctx, &apiv1.ListExecutionsRequest{
			Query: s.Query, Text: s.Text, Sort: s.Sort, Cursor: cursor, Limit: limit,
		})
		if err != nil {
			return nil, "", fmt.Errorf("search executions: %w", err)
		}
		return resp.Executions, resp.Next, nil
	})
}

// SearchTasks gives the tasks that s wants, every attempt being one, as Search does.
func (c *Client) SearchTasks(ctx context.Context, s Search) iter.Seq2[*apiv1.FoundTask, error] {
	return pages(s.Limit, func(cursor string, limit int32) ([]*apiv1.FoundTask, string, error) {
		resp, err := c.tasks.List(ctx, &apiv1.ListTasksRequest{
			Query: s.Query, Text: s.Text, Sort: s.Sort, Cursor: cursor, Limit: limit,
		})
		if err != nil {
			return nil, "", fmt.Errorf("search tasks: %w", err)
		}
		return resp.Tasks, resp.Next, nil
	})
}

// pages gives the items of one page after another, up to limit of them.
func pages[T any](limit int, page func(cursor string, limit int32) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		cursor, left := "", limit
		for {
			size := pageLimit
			if limit > 0 {
				size = min(size, left)
			}
			items, next, err := page(cursor, int32(size))
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if left -= len(items); next == "" || limit > 0 && left <= 0 {
				return
			}
			cursor = next
		}
	}
}
