// SPDX-License-Identifier: Apache-2.0

/// Reads what a store's files hold in their order: manifest, checkpoint, index directories, log. Each step goes on
/// with what the step before could tell.
struct OfflineStoreReader {
    private let raw: RawStore
    private var store: OfflineStore

    static func read(_ raw: RawStore) -> OfflineStore {
        var reader = OfflineStoreReader(raw: raw, store: OfflineStore(raw))
        reader.readManifest()
        reader.readCheckpoint()
        reader.store.mayMissChildren = reader.store.findings.contains { $0.severity == .damage }
        reader.readIndex()
        reader.readLog(from: reader.store.checkpointPosition)
        reader.checkNamedSegments()
        return reader.store
    }

    private mutating func damage(_ file: String, at offset: Int? = nil, _ what: String, _ consequence: String) {
        store.findings.append(StoreFinding(.damage, file, at: offset, what, consequence))
    }

    /// Damage that took nothing.
    private mutating func spared(_ file: String, at offset: Int? = nil, _ what: String, _ consequence: String) {
        store.findings.append(StoreFinding(.spared, file, at: offset, what, consequence))
    }

    // MARK: Manifest

    private mutating func readManifest() {
        guard let file = raw.manifestFile else {
            return damage(StoreFiles.manifestName, "is missing", "which checkpoint counts is not known")
        }
        do throws(OfflineFailure) {
            if let obstacle = file.obstacle { throw .decoding("cannot be read: \(obstacle.errno)") }
            let bytes = try file.bytes(0..<min(file.size, 4096))
            do throws(FileHeader.Failure) {
                store.manifest = try bytes.withUnsafeBytesThrowing { (bytes) throws(FileHeader.Failure) in
                    try Manifest(bytes, for: .reading)
                }
            } catch { throw .decoding(error.reason) }
        } catch {
            damage(file.name, error.reason, "the newest checkpoint that can be read is taken")
        }
    }

    // MARK: Checkpoint

    /// That of the manifest; without one the newest that says where the log goes on.
    private mutating func readCheckpoint() {
        if let manifest = store.manifest {
            return readCheckpoint(manifest.checkpointNumber, checksum: manifest.checkpointChecksum)
        }
        let numbers = (raw.files(.checkpoint) + raw.files(.mirror)).map(\.number)
        for number in Set(numbers).sorted().reversed() {
            readCheckpoint(number, checksum: nil)
            if store.base != nil { return }
        }
    }

    /// From the file or its mirror, whichever is whole; and else from what is whole in either.
    private mutating func readCheckpoint(_ number: UInt64, checksum: UInt32?) {
        let name = StoreFiles.name(.checkpoint, number)
        let twins = [raw.file(.checkpoint, number), raw.file(.mirror, number)].compactMap(\.self)
        let problems = twins.map { CheckpointProblem(of: $0, raw.identity, checksum: checksum) }
        guard let whole = problems.firstIndex(where: { $0 == nil }) else {
            guard let file = twins.first else {
                return damage(name, "is missing", "what is live is read off the log that is there")
            }
            read([file] + twins.dropFirst())
            for (twin, problem) in zip(twins, problems) {
                guard let problem, !store.findings.contains(where: { $0.file == twin.name }) else { continue }
                spared(
                    twin.name, at: problem.offset, problem.reason,
                    twin.consequence("a writer refuses the store; what its frames say is known"))
            }
            return
        }
        if twins[whole].kind == .mirror {
            let problem = whole > 0 ? problems[0] : nil
            spared(
                name, at: problem?.offset, problem?.reason ?? "is missing",
                "its mirror tells the same; a writer makes both anew")
        }
        read([twins[whole]])
    }

    /// - Parameter files: the checkpoint, its mirror where that is needed too.
    private mutating func read(_ files: [RawFile]) {
        let file = files[0]
        var decoder = CheckpointDecoder()
        decoder.isPartial = true
        var loss = OfflineStore.CheckpointLoss()
        /// Where the live runs ended before the last damage, until intact ones follow.
        var lostFrom: UInt64?
        let known = damageCount
        var frames = MirroredFrames(files, seed: raw.identity.seed)
        while let item = frames.next() {
            let (findings, end) = (damageCount, decoder.state.live.endID)
            switch item {
            case .lost(let offset, let reason): damage(file.name, at: offset, reason, Self.incomplete)
            case .frame(let frame): apply(frame, of: file, to: &decoder)
            }
            if damageCount > findings {
                lostFrom = lostFrom ?? end
            } else if let start = lostFrom, decoder.state.live.endID > end {
                loss.ids.append(start..<decoder.state.live.endID)
                lostFrom = nil
            }
        }
        store.checkpointFile = file
        store.base = nil
        guard let position = decoder.position else {
            // What it says of live tasks may be of before or behind what the log says of them.
            store.checkpointLoss = OfflineStore.CheckpointLoss(ids: [0..<UInt64.max], remains: decoder.state)
            return damage(file.name, "no base record", "where the log goes on is not known: all of it is read")
        }
        store.state = decoder.state
        // A number that no store comes to says nothing.
        let countsID = Limits.writable.contains(store.state.nextID)
        let countsSequence = Limits.writable.contains(store.state.nextSequence)
        if !countsID { store.state.nextID = 1 }
        if !countsSequence { store.state.nextSequence = 1 }
        // Also where the base record says less: what the log spawns then has ids that are taken.
        store.state.nextID = max(store.state.nextID, store.state.live.endID)
        if let start = lostFrom { loss.ids.append(start..<max(start, decoder.state.nextID)) }
        store.checkpointLoss = damageCount > known ? loss : nil
        if !countsID || !countsSequence {
            damage(
                file.name, "a next id or position that is none, or more than a writer can go on from",
                "a writer refuses the store; what is there is counted instead")
        }
        do throws(DecodingFailure) {
            try decoder.check(position)
            if store.checkpointLoss == nil { try decoder.checkFamilies() }
        } catch {
            damage(file.name, error.reason, "a writer refuses the store")
        }
        store.base = OfflineStore.Base(
            position: position, sealed: decoder.sealed, open: decoder.open, nextIndexNumber: decoder.nextIndexNumber)
    }

    private var damageCount: Int { store.findings.count { $0.severity == .damage } }

    private static let incomplete = "live tasks and parents may be missing"

    private mutating func apply(_ frame: RawFrame, of file: RawFile, to decoder: inout CheckpointDecoder) {
        var failures: [String] = []
        do throws(DecodingFailure) {
            let body = try frame.body()
            try body.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
                try LogRecord.forEach(in: bytes) { (kind, offset, fields) throws(DecodingFailure) in
                    do throws(DecodingFailure) { try decoder.apply(kind, fields) } catch {
                        failures.append("record of kind \(kind) at \(offset): \(error.reason)")
                    }
                }
            }
        } catch { failures.append(error.reason) }
        for failure in failures {
            damage(file.name, at: frame.offset, failure, Self.incomplete)
        }
    }

    // MARK: Index

    /// The segments that the checkpoint names; without one all that are there.
    private mutating func readIndex() {
        guard let base = store.base else {
            for file in raw.files(.index) { survey(file, to: nil, because: nil) }
            return
        }
        for sealed in base.sealed {
            guard let file = raw.file(.index, UInt64(sealed.number)) else {
                damage(
                    StoreFiles.name(.index, UInt64(sealed.number)), "is missing",
                    "the children in \(sealed.entryCount) blocks are lost")
                store.mayMissChildren = true
                continue
            }
            check(file)
            do throws(OfflineFailure) {
                store.segments.append(
                    try IndexDirectory(
                        file, directoryOffset: sealed.directoryOffset, count: Int(sealed.entryCount),
                        seed: raw.identity.seed))
            } catch {
                survey(file, to: Int(clamping: sealed.directoryOffset), because: error.reason)
            }
        }
        let named = Set(base.sealed.map { UInt64($0.number) } + (base.open.map { [UInt64($0.number)] } ?? []))
        // A checkpoint that is damaged may name others too.
        if store.mayMissChildren {
            for file in raw.files(.index) where !named.contains(file.number) { survey(file, to: nil, because: nil) }
        }
        guard let open = base.open else { return }
        guard let file = raw.file(.index, UInt64(open.number)) else {
            store.mayMissChildren = true
            return damage(
                StoreFiles.name(.index, UInt64(open.number)), "is missing",
                "the children in \(open.entries.count) blocks are lost")
        }
        check(file)
        if file.size < Int(clamping: open.length) {
            damage(file.name, at: file.size, "ends before byte \(open.length)", "children behind that are lost")
        }
        store.segments.append(IndexDirectory(file, blocksEnd: Int(clamping: open.length), entries: open.entries))
    }

    private mutating func check(_ file: RawFile) {
        do throws(DecodingFailure) { _ = try file.checkedHeader(of: raw.identity) } catch {
            damage(
                file.name, at: 0, error.reason,
                file.consequence("a writer refuses the store; its blocks are read all the same"))
        }
    }

    /// Finds the blocks of a segment without its directory.
    private mutating func survey(_ file: RawFile, to end: Int?, because reason: String?) {
        if let reason {
            damage(file.name, at: end, reason, "the directory is made again from the blocks")
        }
        do throws(FileError) {
            let survey = try BlockSurvey(of: file, to: end, seed: raw.identity.seed)
            store.findings += survey.findings
            if !survey.findings.isEmpty { store.mayMissChildren = true }
            store.segments.append(
                IndexDirectory(file, blocksEnd: min(end ?? file.size, file.size), entries: survey.entries))
        } catch {
            damage(file.name, "\(error)", "its children are not read")
            store.mayMissChildren = true
        }
    }

    // MARK: Log

    private mutating func readLog(from position: LogPosition?) {
        if position == nil { store.beginWithoutCheckpoint() }
        var replay = OfflineReplay(raw, state: store.state, isPartial: store.checkpointLoss != nil)
        replay.run(from: position, newest: store.manifest?.newestLog)
        store.findings += replay.findings
        store.state = replay.state
        for (parent, blocks) in replay.tail { store.tail[parent, default: []] += blocks }
        store.logEnd = replay.committedEnd
        store.logGaps = replay.gaps
        store.mayMissIDs = replay.hasGap && (replay.endsInDamage || position == nil)
    }

    /// What live tasks have in log segments that are not there is lost.
    private mutating func checkNamedSegments() {
        // Up to the manifest's segment the replay tells what is missing.
        if let segment = store.checkpointPosition?.segment, segment > store.manifest?.newestLog ?? .max,
            raw.file(.log, UInt64(segment)) == nil
        {
            damage(StoreFiles.name(.log, UInt64(segment)), "is missing", "the log goes on there behind the checkpoint")
        }
        var (payloads, slots): ([UInt32: Int], [UInt32: Int]) = ([:], [:])
        for entry in store.state.live.runs where entry.live != 0 {
            payloads[entry.run.segment, default: 0] += entry.live.nonzeroBitCount
        }
        for (_, _, place) in store.state.slots.all { slots[place.segment, default: 0] += 1 }
        for segment in Set(payloads.keys).union(slots.keys).sorted() where raw.file(.log, UInt64(segment)) == nil {
            damage(
                StoreFiles.name(.log, UInt64(segment)), "is missing",
                "lost: the payloads of \(payloads[segment] ?? 0) live tasks, and \(slots[segment] ?? 0) of their slots")
        }
    }
}

extension FileHeader.Failure {
    var reason: String {
        switch self {
        case .notAStore(let reason), .unsupported(let reason), .damaged(let reason): reason
        }
    }
}
