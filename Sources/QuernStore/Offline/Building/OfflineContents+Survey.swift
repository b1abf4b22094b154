// SPDX-License-Identifier: Apache-2.0

/// What a damaged store still has: found in one pass over all blocks, before anything is told.
extension OfflineContents {
    /// More ids than a batch can give out.
    private static let idsOfABatch = Limits.stagedTasks

    mutating func survey() throws(StoreError) {
        for finding in store.findings where finding.severity == .damage {
            losses.append(
                StoreLoss(file: finding.file, offset: finding.offset, what: "\(finding.what): \(finding.consequence)"))
        }
        for gap in store.logGaps where !gap.sequences.isEmpty || !gap.ids.isEmpty {
            losses.append(
                StoreLoss(
                    file: gap.file, offset: gap.offset, what: "commits are lost", sequences: gap.sequences,
                    ids: gap.ids))
        }
        holes.isUnknown = store.mayMissChildren
        let adopted = store.adoptLostTasks()
        try look()
        if !holes.isEmpty || purpose == .rebuiltIndex { try readOldLog() }
        if !log.isEmpty { try look() }
        // Without a checkpoint the log tells of all.
        liveTasksFromLog =
            store.base == nil
            ? UInt64(store.state.live.count) : UInt64(adopted.count { store.state.live.contains($0) })
        for entry in store.state.live.runs where entry.live != 0 {
            store.state.nextID = max(store.state.nextID, entry.run.firstID.rawValue + UInt64(entry.run.count))
        }
        if store.mayMissIDs {
            store.state.nextID += Self.idsOfABatch
            store.state.nextSequence += Self.idsOfABatch
        }
        listWhatCheckpointsAloneSay()
    }

    /// Names, and what was noted of live tasks, are in the checkpoint alone once the log that said so is gone.
    private mutating func listWhatCheckpointsAloneSay() {
        let named = store.manifest.map { StoreFiles.name(.checkpoint, $0.checkpointNumber) }
        let file = store.checkpointFile?.name ?? named ?? ""
        for label in store.state.labels.lost {
            let name = store.state.labels.name(of: label) ?? ""
            losses.append(
                StoreLoss(
                    file: file,
                    what: "the name of label \(label.rawValue) is lost: until an export of the new store is imported "
                        + "with the right one, it is '\(name)', and no task of that type is run"))
        }
        let live = UInt64(store.state.live.count)
        guard let loss = store.checkpointLoss, loss.isOfTasks || store.base == nil, live > 0, !isLogWhole else {
            return
        }
        losses.append(
            StoreLoss(file: file, what: "phases, attempts, keys and attributes of live tasks may be lost", count: live))
    }

    /// Whether the log is there from its beginning.
    private var isLogWhole: Bool {
        store.raw.files(.log).first.map { (try? $0.header.get().previousLength) == 0 } ?? false
    }

    /// Goes through all blocks: where one is damaged there is a hole, and who is in one has ended.
    private mutating func look() throws(StoreError) {
        var rows = OfflineRows(store, log: log, holes: holes)
        var block = OutcomeBlock(parent: .none)
        var open: (parent: TaskID, start: UInt64)?
        var children: UInt64 = 0
        func close(at end: UInt64, _ holes: inout RowHoles) {
            if let hole = open { holes.insert(hole.start..<max(hole.start, end), of: hole.parent) }
            open = nil
        }
        while true {
            let item: OfflineRows.Item?
            do throws(OfflineFailure) { item = try rows.next(into: &block) } catch {
                throw StoreError(.inputOutput, "the index: \(error.reason)", file: store.raw.directory)
            }
            guard let item else { break }
            switch item {
            case .rows:
                if let hole = open {
                    close(at: hole.parent == block.parent ? block.rows[0].sequence : .max, &holes)
                }
                try end(block)
                children += UInt64(block.rows.count)
                report(children)
            case .lost(let source, _):
                let parent = TaskID(source.entry.parent)
                if let hole = open, hole.parent != parent { close(at: .max, &holes) }
                open = open ?? (parent, source.entry.firstSequence)
            }
        }
        close(at: .max, &holes)
        finishPass(children)
    }

    private mutating func end(_ block: OutcomeBlock) throws(StoreError) {
        let label = block.rows.reduce(0) { max($0, $1.label) }
        do throws(DecodingFailure) { try store.state.labels.assume(upTo: label) } catch {
            throw damaged("children of \(block.parent): \(error.reason)", "", nil)
        }
        let last = block.rows[block.rows.count - 1].sequence
        store.state.nextSequence = max(store.state.nextSequence, last + 1)
        for row in block.rows {
            store.state.nextID = max(store.state.nextID, row.task + 1)
            if store.state.live.count > 0 { store.state.forget(TaskID(row.task)) }
        }
    }

    private mutating func readOldLog() throws(StoreError) {
        let holes = holes
        let takesAll = purpose == .rebuiltIndex
        do throws(FileError) {
            log = try LogRowSurvey(of: store.raw, before: store.checkpointPosition) { parent, sequences in
                takesAll || holes.overlaps(sequences, of: parent)
            }.sources
        } catch { throw StoreError("cannot read the log", error) }
    }
}

extension StoreState {
    /// A task that was taken for live has an outcome.
    fileprivate mutating func forget(_ task: TaskID) {
        guard let ended = live.end(task) else { return }
        if ended.isLast { _ = attributes.remove(ended.run) }
        keys.remove(task)
        slots.remove(task)
        details.removeValue(forKey: task)
        parents.remove(task)
    }
}
