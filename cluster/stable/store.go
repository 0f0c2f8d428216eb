package stable

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/cluster/guard"
)

// errNotFound has the text that raft compares with.
var errNotFound = errors.New("not found")

// The keys raft uses, and the one that holds both parts of a vote.
const (
	keyCurrentTerm   = "CurrentTerm"
	keyVoteTerm      = "LastVoteTerm"
	keyVoteCandidate = "LastVoteCand"
	keyVote          = "Vote"
)

// backend keeps the record of all values. save is durable when it returns.
// There is one caller at a time.
type backend interface {
	load() ([]byte, error)
	save(record []byte) error
	name() string
	Close() error
}

// Store is a raft.StableStore. It is safe for concurrent use.
type Store struct {
	guard *guard.Guard
	exit  func(code int, reason string)

	mu       sync.Mutex
	backend  backend
	values   values  // what is stored
	voteTerm *uint64 // remembered by the first call of a vote, nil when none is open
	fallen   error   // a term fell: nothing is stored any more
}

var _ raft.StableStore = (*Store)(nil)

// newStore reads and verifies what the backend holds.
func newStore(b backend, g *guard.Guard, exit func(code int, reason string)) (*Store, error) {
	s := &Store{guard: g, exit: exit, backend: b}
	record, err := b.load()
	if err == nil {
		s.values, err = decode(record, b.name())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open stable store: %w", err), b.Close())
	}
	return s, nil
}

// Set stores a value durably. Setting the candidate of a vote stores the term
// that was set before it as well, in the same write.
func (s *Store) Set(key, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if string(key) != keyVoteCandidate {
		return s.write(string(key), value)
	}
	term := s.voteTerm
	if term == nil {
		old, err := s.vote()
		if err != nil && !errors.Is(err, errNotFound) {
			return err
		}
		term = &old.term
	}
	vote := binary.LittleEndian.AppendUint64(nil, *term)
	if err := s.write(keyVote, append(vote, value...)); err != nil {
		return err
	}
	s.voteTerm = nil
	return nil
}

// Get reads a value; the error says "not found" if there is none.
func (s *Store) Get(key []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if string(key) != keyVoteCandidate {
		return s.read(string(key))
	}
	v, err := s.vote()
	if err != nil {
		return nil, err
	}
	return v.candidate, nil
}

// SetUint64 stores a number durably, but for the term of a vote, which is
// stored with the candidate that follows. A current term below the stored one
// ends the process.
func (s *Store) SetUint64(key []byte, value uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch string(key) {
	case keyVoteTerm:
		s.voteTerm = &value
		return nil
	case keyCurrentTerm:
		old, err := s.number(keyCurrentTerm)
		if err != nil && !errors.Is(err, errNotFound) {
			return err
		}
		if value < old {
			return s.fall(&fallingTerm{stored: old, asked: value})
		}
	}
	return s.write(string(key), binary.LittleEndian.AppendUint64(nil, value))
}

// fall ends the process; where exit returns, as in tests, the store is dead.
func (s *Store) fall(err error) error {
	s.fallen = err
	if s.exit == nil {
		return s.guard.Fail(err)
	}
	s.exit(guard.ExitInvariant, err.Error())
	return err
}

// GetUint64 reads a number; the error says "not found" if there is none.
func (s *Store) GetUint64(key []byte) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if string(key) != keyVoteTerm {
		return s.number(string(key))
	}
	v, err := s.vote()
	return v.term, err
}

// Close closes the place the values are in. A vote of which only the first
// part was set is forgotten: nobody was told of it.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.backend.Close()
}

type vote struct {
	term      uint64
	candidate []byte
}

func (s *Store) vote() (vote, error) {
	b, err := s.read(keyVote)
	if err != nil {
		return vote{}, err
	}
	if len(b) < 8 {
		return vote{}, s.guard.Fail(damagedValue(keyVote, s.backend.name()))
	}
	return vote{term: binary.LittleEndian.Uint64(b), candidate: b[8:]}, nil
}

func (s *Store) number(key string) (uint64, error) {
	b, err := s.read(key)
	if err != nil {
		return 0, err
	}
	if len(b) != 8 {
		return 0, s.guard.Fail(damagedValue(key, s.backend.name()))
	}
	return binary.LittleEndian.Uint64(b), nil
}

// read reads a value. That there is none is no error of storage, and comes
// back as it is: raft compares the text.
func (s *Store) read(key string) ([]byte, error) {
	value, err := s.values.get(key, s.backend.name())
	if err != nil && !errors.Is(err, errNotFound) {
		return nil, s.guard.Fail(err)
	}
	return value, err
}

func (s *Store) write(key string, value []byte) error {
	if s.fallen != nil {
		return s.fallen
	}
	next, err := s.values.with(key, value)
	if err != nil {
		return err
	}
	if err := s.guard.Do(guard.OpStable, func() error { return s.backend.save(next.encode()) }); err != nil {
		return err
	}
	s.values = next
	return nil
}

// fallingTerm is the error of a term below the stored one.
type fallingTerm struct{ stored, asked uint64 }

func (f *fallingTerm) Error() string {
	return fmt.Sprintf("term would fall from %d to %d", f.stored, f.asked)
}

// ExitCode is guard.ExitInvariant.
func (f *fallingTerm) ExitCode() int { return guard.ExitInvariant }
