package fsm

import "strconv"

// answerBody is the answer of a line to a job: result is JSON and text a string, or
// failure says what went wrong.
func answerBody(a args) Body {
	t := a.task(a.word(1))
	failures := map[string]JobFailure{"threw": JobThrew, "timed-out": JobTimedOut, "died": JobDied, "malformed": JobMalformed}
	c := &FinishJob{Task: t, Lease: a.lease(t), Failure: failures[a.named["failure"]], Message: a.named["message"], Line: int32(a.num("line"))}
	if c.Failure == JobDone {
		c.Result = []byte(a.named["result"])
		if text, ok := a.named["text"]; ok {
			c.Result = strconv.AppendQuote(nil, text)
		}
	}
	return c
}
