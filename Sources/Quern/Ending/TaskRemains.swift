// SPDX-License-Identifier: Apache-2.0
import Logging
import QuernStore

/// What a task that failed leaves for whoever runs it again: the attachment of its outcome.
///
/// | bytes | |
/// |---|---|
/// | 1 | version: 1 |
/// | 1 | 1: a key follows; 2: there is a hand-over; 4: its failed children had the others cancelled |
/// | 1 | priority |
/// | 16 | the key, when there is one |
/// | | length of the attributes (LEB128), attributes |
/// | | length of the payload (LEB128), payload |
/// | | the hand-over, up to the end |
struct TaskRemains: Sendable, Equatable {
    private static let version: UInt8 = 1
    private static let hasKey: UInt8 = 1
    private static let hasHandover: UInt8 = 2
    private static let stoppedChildren: UInt8 = 4
    private static let allFlags = hasKey | hasHandover | stoppedChildren

    var priority: UInt8
    var key: TaskKey?
    var attributes: [UInt8] = []
    var payload: [UInt8] = []
    /// What `execute` handed over, when all children had ended and only `finalize` was left: such a task can be
    /// redriven (T12a).
    var handover: [UInt8]?
    /// Whether it failed because children failed, and the others were cancelled for it.
    var stoppedChildren = false

    init(priority: UInt8) { self.priority = priority }

    /// Empty when it is more than the store takes: the task can then not be run again.
    func encoded() -> [UInt8] {
        let size = attributes.count + payload.count + (handover?.count ?? 0) + 64
        guard size <= Limits.valueBytes else { return [] }
        var writer = ByteWriter(reservingCapacity: size)
        writer.append(Self.version)
        writer.append(
            (key == nil ? 0 : Self.hasKey) | (handover == nil ? 0 : Self.hasHandover)
                | (stoppedChildren ? Self.stoppedChildren : 0))
        writer.append(priority)
        if let key { writer.append(contentsOf: key.bytes) }
        writer.append(variable: UInt64(attributes.count))
        writer.append(contentsOf: attributes)
        writer.append(variable: UInt64(payload.count))
        writer.append(contentsOf: payload)
        if let handover { writer.append(contentsOf: handover) }
        return writer.bytes
    }

    /// Nil for bytes of another form.
    init?(decoding bytes: [UInt8]) {
        guard bytes.count >= 3, bytes[0] == Self.version, bytes[1] & ~Self.allFlags == 0 else { return nil }
        priority = bytes[2]
        stoppedChildren = bytes[1] & Self.stoppedChildren != 0
        var rest = bytes[3...]
        if bytes[1] & Self.hasKey != 0 {
            guard rest.count >= TaskKey.byteCount, let key = TaskKey(bytes: Array(rest.prefix(TaskKey.byteCount)))
            else { return nil }
            self.key = key
            rest = rest.dropFirst(TaskKey.byteCount)
        }
        guard let attributes = Self.takePart(&rest), let payload = Self.takePart(&rest) else { return nil }
        self.attributes = attributes
        self.payload = payload
        if bytes[1] & Self.hasHandover != 0 {
            handover = Array(rest)
        } else if !rest.isEmpty {
            return nil
        }
    }

    /// A length and so many bytes.
    private static func takePart(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
        var length: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 35, by: 7) {
            guard let byte = rest.popFirst() else { return nil }
            length |= UInt64(byte & 0x7F) << shift
            guard byte < 0x80 else { continue }
            guard length <= UInt64(rest.count) else { return nil }
            defer { rest = rest.dropFirst(Int(length)) }
            return Array(rest.prefix(Int(length)))
        }
        return nil
    }
}

extension TaskRemains {
    /// Of a live task, without its payload.
    init(of id: TaskID, in run: SpawnRun, attributes: [UInt8], _ store: MemoStore) {
        self.init(priority: store.detail(of: id)?.priority ?? run.priority)
        self.attributes = attributes
        key = store.key(of: id)
    }
}

extension SchedulerCore {
    /// What is to be kept of live tasks that are about to end in failure, by their index in the run; nothing of those
    /// that cannot be read.
    ///
    /// A cold path, and blocking.
    ///
    /// - Throws: when they may be read later (``StoreError/isTransient``).
    @inline(never)
    func remains(of run: SpawnRun, _ bits: UInt64) throws(StoreError) -> [Int: [UInt8]] {
        let attributes = store.attributes(of: run)
        var encoded: [Int: [UInt8]] = [:]
        try unlessLost { () throws(StoreError) in
            try store.withPayloads(of: run, indexes: bits) { index, bytes in
                var remains = TaskRemains(of: run.id(at: index), in: run, attributes: attributes, store)
                remains.payload = bytes.withUnsafeBytes { Array($0) }
                encoded[index] = remains.encoded()
            }
        }
        return encoded
    }

    /// What is to be kept of a parent that is about to end, all of whose children have ended.
    ///
    /// - Parameter stoppedChildren: whether it fails because children failed, and the others were cancelled for it.
    /// - Throws: when it may be read later (``StoreError/isTransient``).
    @inline(never)
    func remains(of parent: WaitingParent, stoppedChildren: Bool = false) throws(StoreError) -> [UInt8] {
        let attributes = store.attributes(of: parent.run)
        var remains = TaskRemains(of: parent.id, in: parent.run, attributes: attributes, store)
        remains.stoppedChildren = stoppedChildren
        if store.detail(of: parent.id)?.phase == TaskPhase.children {
            try unlessLost { () throws(StoreError) in
                remains.handover = try store.kept(parent.id, slot: TaskSlot.handover)
            }
        }
        var encoded: [UInt8] = []
        try unlessLost { () throws(StoreError) in
            try store.withPayloads(of: parent.run, indexes: parent.bit) { _, bytes in
                remains.payload = bytes.withUnsafeBytes { Array($0) }
                encoded = remains.encoded()
            }
        }
        return encoded
    }

    /// Payloads that are lost must not keep a task from its end. What cannot be read only for now is waited for.
    private func unlessLost(_ read: () throws(StoreError) -> Void) throws(StoreError) {
        do throws(StoreError) { try read() } catch {
            if error.isTransient { throw error }
            logger.warning("failed tasks cannot be run again, since what they had cannot be read: \(error)")
        }
    }
}
