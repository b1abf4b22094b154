// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// The decoded payloads of a pull.
///
/// The memory is managed by hand, since this is generic code that runs for each task: an array of optionals would look
/// up the metadata of its types at every access.
final class PayloadBatch<Work: DurableTask> {
    private let works: UnsafeMutablePointer<Work>
    /// Which of the places hold a payload.
    private var decoded: UInt64 = 0
    private var failures: [Int: PermanentError] = [:]

    /// - Parameter count: tasks of the run, whether their payloads are read or not.
    init(count: Int) { works = .allocate(capacity: count) }

    deinit {
        for index in BitIndexes(decoded) { (works + index).deinitialize(count: 1) }
        works.deallocate()
    }

    /// Reads and decodes the payloads of all tasks of `entry`, once. Blocking, usually served from memory.
    ///
    /// - Parameter version: of the payloads.
    func read(_ entry: ReadyRun, version: UInt32, from store: MemoStore) throws(StoreError) {
        try store.withPayloads(of: entry.run, indexes: entry.bits) { index, bytes in
            do {
                (works + index).initialize(to: try Work.decodePayload(bytes, version: version))
                decoded |= 1 << UInt64(index)
            } catch {
                failures[index] = PermanentError(
                    reason: "payload cannot be decoded", detail: String(describing: error))
            }
        }
    }

    /// - Throws: `PermanentError` when the payload could not be decoded.
    func work(at index: Int) throws(PermanentError) -> Work {
        if decoded & (1 << UInt64(index)) != 0 { return works[index] }
        throw failures[index] ?? PermanentError(reason: "payload is missing")
    }
}
