package fsm

// Decoders of the tables that are rows, one for each encoder.

func decodeLatest(r *reader) (k latestKey, v uint32) {
	for r.next() {
		switch r.tag {
		case 1:
			k.exec = r.exec()
		case 2:
			k.ref = r.str()
		case 3:
			v = r.num32()
		default:
			r.unknown()
		}
	}
	return k, v
}

func decodeHeld(r *reader) (k heldKey, v none) {
	for r.next() {
		switch r.tag {
		case 1:
			k.exec = r.exec()
		case 2:
			k.list = heldList(r.num8())
		case 3:
			k.serial = r.num32()
		default:
			r.unknown()
		}
	}
	return k, v
}

func decodeIteration(r *reader) (k iterationKey, v none) {
	for r.next() {
		switch r.tag {
		case 1:
			k.exec = r.exec()
		case 2:
			k.loop = r.num32()
		case 3:
			k.iteration = r.num32()
		case 4:
			k.serial = r.num32()
		default:
			r.unknown()
		}
	}
	return k, v
}

func decodeTaskKey(r *reader) (k TaskID, v none) {
	for r.next() {
		switch r.tag {
		case 1:
			k = r.task()
		default:
			r.unknown()
		}
	}
	return k, v
}

func decodeReady(r *reader) (k readyKey, v none) {
	for r.next() {
		switch r.tag {
		case 1:
			k.queue = queueID(r.num32())
		case 2:
			k.lane = r.num32()
		case 3:
			k.rank = r.int()
		case 4:
			k.task = r.task()
		default:
			r.unknown()
		}
	}
	return k, v
}

func decodeLease(r *reader) (k leaseKey, v Lease) {
	for r.next() {
		switch r.tag {
		case 1:
			k.node = r.node()
		case 2:
			k.boot = r.num32()
		case 3:
			k.task = r.task()
		case 4:
			v = Lease(r.num())
		default:
			r.unknown()
		}
	}
	return k, v
}

func decodeDue(r *reader) (k dueKey, v owner) {
	for r.next() {
		switch r.tag {
		case 1:
			k.at = Millis(r.int())
		case 2:
			k.tie = r.num()
		case 3:
			v.kind = ownerKind(r.num8())
		case 4:
			v.task = r.task()
		case 5:
			v.limit = r.str()
		default:
			r.unknown()
		}
	}
	return k, v
}

func decodeStart(r *reader) (k startKey, v ExecID) {
	for r.next() {
		switch r.tag {
		case 1:
			k.name = r.str()
		case 2:
			k.key = r.str()
		case 3:
			v = r.exec()
		default:
			r.unknown()
		}
	}
	return k, v
}

func decodeRequest(r *reader) (k RequestID, v answer) {
	for r.next() {
		switch r.tag {
		case 1:
			k = r.request()
		case 2:
			v.content = r.num32()
		case 3:
			v.index = r.num()
		case 4:
			v.exec = r.exec()
		case 5:
			v.task = r.task()
		case 6:
			v.version = int32(r.num32())
		case 7:
			v.ignored = r.flag()
		case 8:
			v.refused = r.bytes()
		default:
			r.unknown()
		}
	}
	return k, v
}

func decodeRequestAge(r *reader) (k requestAge, v RequestID) {
	for r.next() {
		switch r.tag {
		case 1:
			k.n = r.num()
		case 2:
			k.at = Millis(r.int())
		case 3:
			v = r.request()
		default:
			r.unknown()
		}
	}
	return k, v
}

func decodeTime(r *reader) (k timeKey, v none) {
	for r.next() {
		switch r.tag {
		case 1:
			k.created = Millis(r.int())
		case 2:
			k.exec = r.exec()
		default:
			r.unknown()
		}
	}
	return k, v
}

func decodeType(r *reader) (k typeKey, v none) {
	for r.next() {
		switch r.tag {
		case 1:
			k.name = r.str()
		case 2:
			k.created = Millis(r.int())
		case 3:
			k.exec = r.exec()
		default:
			r.unknown()
		}
	}
	return k, v
}

func decodeStatus(r *reader) (k statusKey, v none) {
	for r.next() {
		switch r.tag {
		case 1:
			k.status = Status(r.num8())
		case 2:
			k.name = r.str()
		case 3:
			k.created = Millis(r.int())
		case 4:
			k.exec = r.exec()
		default:
			r.unknown()
		}
	}
	return k, v
}

func decodeCorrelation(r *reader) (k correlationKey, v none) {
	for r.next() {
		switch r.tag {
		case 1:
			k.corr = r.str()
		case 2:
			k.exec = r.exec()
		default:
			r.unknown()
		}
	}
	return k, v
}

func decodeParent(r *reader) (k parentKey, v none) {
	for r.next() {
		switch r.tag {
		case 1:
			k.parent = r.exec()
		case 2:
			k.exec = r.exec()
		default:
			r.unknown()
		}
	}
	return k, v
}
