package fsm

import (
	"bytes"
	"cmp"
	"strings"
)

// Orders and encodings of the tables that are rows. Times in index keys descend.

func compareDefinition(a, b definitionKey) int {
	return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.version, b.version))
}

func compareLatest(a, b latestKey) int {
	return cmp.Or(a.exec.Compare(b.exec), strings.Compare(a.ref, b.ref))
}

func encodeLatest(w *writer, k latestKey, serial uint32) {
	w.exec(1, k.exec)
	w.str(2, k.ref)
	w.num(3, uint64(serial))
}

func compareHeld(a, b heldKey) int {
	return cmp.Or(a.exec.Compare(b.exec), cmp.Compare(a.list, b.list), cmp.Compare(a.serial, b.serial))
}

func encodeHeld(w *writer, k heldKey, _ none) {
	w.exec(1, k.exec)
	w.num(2, uint64(k.list))
	w.num(3, uint64(k.serial))
}

func compareIteration(a, b iterationKey) int {
	return cmp.Or(a.exec.Compare(b.exec), cmp.Compare(a.loop, b.loop),
		cmp.Compare(a.iteration, b.iteration), cmp.Compare(a.serial, b.serial))
}

func encodeIteration(w *writer, k iterationKey, _ none) {
	w.exec(1, k.exec)
	w.num(2, uint64(k.loop))
	w.num(3, uint64(k.iteration))
	w.num(4, uint64(k.serial))
}

func encodeTaskKey(w *writer, k TaskID, _ none) { w.task(1, k) }

func compareReady(a, b readyKey) int {
	return cmp.Or(cmp.Compare(a.queue, b.queue), cmp.Compare(a.lane, b.lane),
		cmp.Compare(a.rank, b.rank), a.task.Compare(b.task))
}

func encodeReady(w *writer, k readyKey, _ none) {
	w.num(1, uint64(k.queue))
	w.num(2, uint64(k.lane))
	w.int(3, k.rank)
	w.task(4, k.task)
}

func compareLease(a, b leaseKey) int {
	return cmp.Or(bytes.Compare(a.node[:], b.node[:]), cmp.Compare(a.boot, b.boot), a.task.Compare(b.task))
}

func encodeLeaseRow(w *writer, k leaseKey, l Lease) {
	w.bytes(1, k.node[:])
	w.num(2, uint64(k.boot))
	w.task(3, k.task)
	w.num(4, uint64(l))
}

func compareDue(a, b dueKey) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.tie, b.tie)) }

func encodeDue(w *writer, k dueKey, o owner) {
	w.int(1, int64(k.at))
	w.num(2, k.tie)
	w.num(3, uint64(o.kind))
	w.task(4, o.task)
	w.str(5, o.limit)
}

func compareStart(a, b startKey) int {
	return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.key, b.key))
}

func encodeStart(w *writer, k startKey, e ExecID) {
	w.str(1, k.name)
	w.str(2, k.key)
	w.exec(3, e)
}

func compareRequest(a, b RequestID) int { return bytes.Compare(a[:], b[:]) }

func encodeRequest(w *writer, k RequestID, a answer) {
	w.bytes(1, k[:])
	w.num(2, uint64(a.content))
	w.num(3, a.index)
	w.exec(4, a.exec)
	w.task(5, a.task)
	w.num(6, uint64(a.version))
	w.flag(7, a.ignored)
	w.bytes(8, a.refused)
}

func compareRequestAge(a, b requestAge) int { return cmp.Compare(a.n, b.n) }

func encodeRequestAge(w *writer, k requestAge, id RequestID) {
	w.num(1, k.n)
	w.int(2, int64(k.at))
	w.bytes(3, id[:])
}

func compareTime(a, b timeKey) int {
	return cmp.Or(cmp.Compare(b.created, a.created), b.exec.Compare(a.exec))
}

func encodeTime(w *writer, k timeKey, _ none) {
	w.int(1, int64(k.created))
	w.exec(2, k.exec)
}

func compareType(a, b typeKey) int {
	return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(b.created, a.created), b.exec.Compare(a.exec))
}

func encodeType(w *writer, k typeKey, _ none) {
	w.str(1, k.name)
	w.int(2, int64(k.created))
	w.exec(3, k.exec)
}

func compareStatus(a, b statusKey) int {
	return cmp.Or(cmp.Compare(a.status, b.status), strings.Compare(a.name, b.name),
		cmp.Compare(b.created, a.created), b.exec.Compare(a.exec))
}

func encodeStatus(w *writer, k statusKey, _ none) {
	w.num(1, uint64(k.status))
	w.str(2, k.name)
	w.int(3, int64(k.created))
	w.exec(4, k.exec)
}

func compareCorrelation(a, b correlationKey) int {
	return cmp.Or(strings.Compare(a.corr, b.corr), b.exec.Compare(a.exec))
}

func encodeCorrelation(w *writer, k correlationKey, _ none) {
	w.str(1, k.corr)
	w.exec(2, k.exec)
}

func compareParent(a, b parentKey) int {
	return cmp.Or(a.parent.Compare(b.parent), a.exec.Compare(b.exec))
}

func encodeParent(w *writer, k parentKey, _ none) {
	w.exec(1, k.parent)
	w.exec(2, k.exec)
}

func compareOpen(a, b openKey) int {
	return cmp.Or(strings.Compare(a.taskType, b.taskType), a.task.Compare(b.task))
}
