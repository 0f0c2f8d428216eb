// Package behaviour holds the machine to what Conductor does, one test for each
// numbered behaviour.
//
// A test is named after its number and what it shows, such as
// TestB025ForkStartsItsBranchesAndJoins. It was written from the description of
// Conductor, not from this code, and plays its part with a machine alone: commands
// go in as entries, workers are slots that the test offers, time is what the test
// says, and scripts are run by the engine that nodes run. A second machine, now and
// then restored from a snapshot, must agree after each entry, and Verify must hold.
//
// The comment of a test says in one sentence what was given and what is seen. If a
// paragraph of it begins with "Different:", we differ on purpose, and it says why.
// From these comments, and from what failed, the page
// docs/conductor-compatibility.md is made:
//
//	go test ./jepsen/behaviour -rewrite
//
// Without the flag the tests fail when that page does not say what they saw.
//
// The package has no code but its tests. Some need the public definitions that are
// kept beside the repository, and are skipped where those are missing.
package behaviour
