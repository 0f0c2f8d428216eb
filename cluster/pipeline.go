package cluster

import (
	"sync"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/cluster/peer"
)

// maxAnswers bounds the answers that a pipeline keeps for a raft that has stopped to
// read them: more than raft sends before it notices.
const maxAnswers = 64

// transport is the peer transport with pipelines that cannot lock up. Raft's own sends
// on one goroutine and reads answers on another, which ends first when a newer term is
// seen; with every place in the pipeline taken, the first would then wait for ever, and
// a shutdown with it.
type transport struct{ *peer.Transport }

var (
	_ raft.Transport   = transport{}
	_ raft.WithPreVote = transport{}
	_ raft.WithClose   = transport{}
)

// AppendEntriesPipeline opens a pipeline.
func (t transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	inner, err := t.Transport.AppendEntriesPipeline(id, target)
	if err != nil {
		return nil, err
	}
	p := &pipeline{AppendPipeline: inner, answers: make(chan raft.AppendFuture, maxAnswers), done: make(chan struct{})}
	p.wg.Go(p.pass)
	return p, nil
}

// pipeline takes answers out of the one inside, whether raft reads them or not.
type pipeline struct {
	raft.AppendPipeline
	answers chan raft.AppendFuture
	done    chan struct{}
	once    sync.Once
	wg      sync.WaitGroup
}

func (p *pipeline) pass() {
	for {
		select {
		case f := <-p.AppendPipeline.Consumer():
			select {
			case p.answers <- f:
			case <-p.done:
				return
			}
		case <-p.done:
			return
		}
	}
}

// Consumer gives the answers.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.answers }

// Close ends the pipeline.
func (p *pipeline) Close() error {
	p.once.Do(func() { close(p.done) })
	err := p.AppendPipeline.Close()
	p.wg.Wait()
	return err
}
