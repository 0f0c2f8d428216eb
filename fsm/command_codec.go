package fsm

// Fields of each command. Tags are for ever.

func (c *StartExecution) append(w *writer) {
	w.str(1, c.Name)
	w.int(2, int64(c.Version))
	w.bytes(3, c.Definition)
	w.bytes(4, c.Input)
	w.str(5, c.Correlation)
	w.int(6, int64(c.Priority))
	for _, d := range c.Domains {
		w.nest(7, func(w *writer) { w.str(1, d.Type); w.str(2, d.Domain) })
	}
	w.str(8, c.Key)
	w.num(9, uint64(c.Strategy))
	w.str(10, c.CreatedBy)
	w.str(11, c.Event)
}

func (c *StartExecution) field(r *reader) {
	switch r.tag {
	case 1:
		c.Name = r.str()
	case 2:
		c.Version = r.int32()
	case 3:
		c.Definition = r.bytes()
	case 4:
		c.Input = r.bytes()
	case 5:
		c.Correlation = r.str()
	case 6:
		c.Priority = r.int32()
	case 7:
		c.Domains = append(c.Domains, readDomain(r))
	case 8:
		c.Key = r.str()
	case 9:
		c.Strategy = Strategy(r.num8())
	case 10:
		c.CreatedBy = r.str()
	case 11:
		c.Event = r.str()
	default:
		r.unknown()
	}
}

func readDomain(r *reader) (d Domain) {
	r.nest(func(r *reader) {
		switch r.tag {
		case 1:
			d.Type = r.str()
		case 2:
			d.Domain = r.str()
		default:
			r.unknown()
		}
	})
	return d
}

func (c *CompleteTask) append(w *writer) {
	w.task(1, c.Task)
	w.num(2, uint64(c.Lease))
	w.bytes(3, c.Output)
	w.str(4, c.Worker)
}

func (c *CompleteTask) field(r *reader) {
	switch r.tag {
	case 1:
		c.Task = r.task()
	case 2:
		c.Lease = Lease(r.num())
	case 3:
		c.Output = r.bytes()
	case 4:
		c.Worker = r.str()
	default:
		r.unknown()
	}
}

func (c *FailTask) append(w *writer) {
	w.task(1, c.Task)
	w.num(2, uint64(c.Lease))
	w.str(3, c.Reason)
	w.flag(4, c.Terminal)
	w.bytes(5, c.Output)
	w.str(6, c.Worker)
}

func (c *FailTask) field(r *reader) {
	switch r.tag {
	case 1:
		c.Task = r.task()
	case 2:
		c.Lease = Lease(r.num())
	case 3:
		c.Reason = r.str()
	case 4:
		c.Terminal = r.flag()
	case 5:
		c.Output = r.bytes()
	case 6:
		c.Worker = r.str()
	default:
		r.unknown()
	}
}

func (c *ProgressTask) append(w *writer) {
	w.task(1, c.Task)
	w.num(2, uint64(c.Lease))
	w.bytes(3, c.Output)
	w.int(4, int64(c.CallbackSeconds))
	w.str(5, c.Worker)
}

func (c *ProgressTask) field(r *reader) {
	switch r.tag {
	case 1:
		c.Task = r.task()
	case 2:
		c.Lease = Lease(r.num())
	case 3:
		c.Output = r.bytes()
	case 4:
		c.CallbackSeconds = r.int32()
	case 5:
		c.Worker = r.str()
	default:
		r.unknown()
	}
}

func (c *UpdateTask) append(w *writer) {
	w.task(1, c.Task)
	w.exec(2, c.Exec)
	w.str(3, c.Ref)
	w.num(4, uint64(c.Status))
	w.bytes(5, c.Output)
	w.str(6, c.Reason)
	w.str(7, c.Worker)
	w.int(8, int64(c.CallbackSeconds))
	w.flag(9, c.Replace)
	w.flag(10, c.ExtendLease)
}

func (c *UpdateTask) field(r *reader) {
	switch r.tag {
	case 1:
		c.Task = r.task()
	case 2:
		c.Exec = r.exec()
	case 3:
		c.Ref = r.str()
	case 4:
		c.Status = TaskStatus(r.num8())
	case 5:
		c.Output = r.bytes()
	case 6:
		c.Reason = r.str()
	case 7:
		c.Worker = r.str()
	case 8:
		c.CallbackSeconds = r.int32()
	case 9:
		c.Replace = r.flag()
	case 10:
		c.ExtendLease = r.flag()
	default:
		r.unknown()
	}
}

func (c *ExtendLeases) append(w *writer) {
	for _, x := range c.Items {
		w.nest(1, func(w *writer) { w.task(1, x.Task); w.num(2, uint64(x.Lease)) })
	}
}

func (c *ExtendLeases) field(r *reader) {
	if r.tag != 1 {
		r.unknown()
		return
	}
	var x Extension
	r.nest(func(r *reader) {
		switch r.tag {
		case 1:
			x.Task = r.task()
		case 2:
			x.Lease = Lease(r.num())
		default:
			r.unknown()
		}
	})
	c.Items = append(c.Items, x)
}

func (c *ReturnLease) append(w *writer) {
	w.task(1, c.Task)
	w.num(2, uint64(c.Lease))
}

func (c *ReturnLease) field(r *reader) {
	switch r.tag {
	case 1:
		c.Task = r.task()
	case 2:
		c.Lease = Lease(r.num())
	default:
		r.unknown()
	}
}

func onlyExec(r *reader) ExecID {
	if r.tag != 1 {
		r.unknown()
		return ExecID{}
	}
	return r.exec()
}

func (c *PauseExecution) append(w *writer)  { w.exec(1, c.Exec) }
func (c *PauseExecution) field(r *reader)   { c.Exec = onlyExec(r) }
func (c *ResumeExecution) append(w *writer) { w.exec(1, c.Exec) }
func (c *ResumeExecution) field(r *reader)  { c.Exec = onlyExec(r) }

func (c *TerminateExecution) append(w *writer) {
	w.exec(1, c.Exec)
	w.str(2, c.Reason)
	w.flag(3, c.TriggerFailureWorkflow)
}

func (c *TerminateExecution) field(r *reader) {
	switch r.tag {
	case 1:
		c.Exec = r.exec()
	case 2:
		c.Reason = r.str()
	case 3:
		c.TriggerFailureWorkflow = r.flag()
	default:
		r.unknown()
	}
}

func (c *Signal) append(w *writer) {
	w.exec(1, c.Exec)
	w.str(2, c.Ref)
	w.num(3, uint64(c.Status))
	w.bytes(4, c.Output)
	w.str(5, c.Reason)
}

func (c *Signal) field(r *reader) {
	switch r.tag {
	case 1:
		c.Exec = r.exec()
	case 2:
		c.Ref = r.str()
	case 3:
		c.Status = TaskStatus(r.num8())
	case 4:
		c.Output = r.bytes()
	case 5:
		c.Reason = r.str()
	default:
		r.unknown()
	}
}

func (c *PutDefinition) append(w *writer) {
	w.bytes(1, c.Source)
	w.flag(2, c.Overwrite)
}

func (c *PutDefinition) field(r *reader) {
	switch r.tag {
	case 1:
		c.Source = r.bytes()
	case 2:
		c.Overwrite = r.flag()
	default:
		r.unknown()
	}
}

func (c *DeleteDefinition) append(w *writer) {
	w.str(1, c.Name)
	w.int(2, int64(c.Version))
}

func (c *DeleteDefinition) field(r *reader) {
	switch r.tag {
	case 1:
		c.Name = r.str()
	case 2:
		c.Version = r.int32()
	default:
		r.unknown()
	}
}

func onlyString(r *reader) string {
	if r.tag != 1 {
		r.unknown()
		return ""
	}
	return r.str()
}

func (c *PutTaskType) append(w *writer) { w.bytes(1, c.Source) }
func (c *PutTaskType) field(r *reader) {
	if r.tag != 1 {
		r.unknown()
		return
	}
	c.Source = r.bytes()
}
func (c *DeleteTaskType) append(w *writer) { w.str(1, c.Name) }
func (c *DeleteTaskType) field(r *reader)  { c.Name = onlyString(r) }
func (c *PauseQueue) append(w *writer)     { w.str(1, string(c.Queue)) }
func (c *PauseQueue) field(r *reader)      { c.Queue = Queue(onlyString(r)) }
func (c *ResumeQueue) append(w *writer)    { w.str(1, string(c.Queue)) }
func (c *ResumeQueue) field(r *reader)     { c.Queue = Queue(onlyString(r)) }

func (c *BeginTerm) append(w *writer) {
	w.bytes(1, c.Node[:])
	w.num(2, uint64(c.Boot))
	w.int(3, int64(c.Gap))
}

func (c *BeginTerm) field(r *reader) {
	switch r.tag {
	case 1:
		c.Node = r.node()
	case 2:
		c.Boot = r.num32()
	case 3:
		c.Gap = Millis(r.int())
	default:
		r.unknown()
	}
}

func (c *RaiseIncarnation) append(w *writer) { w.num(1, uint64(c.To)) }
func (c *RaiseIncarnation) field(r *reader) {
	if r.tag != 1 {
		r.unknown()
		return
	}
	c.To = r.num8()
}
