// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import Testing

@testable import Quern
@testable import QuernStore

/// A task of whatever size, so that a handful makes more than belongs in memory.
struct Cargo: DurableTask {
    static let type: TaskType = "test.cargo"
    typealias Memo = Step.Memo

    var number: Int
    var bytes = 0

    func encodePayload(into writer: inout ByteWriter) throws {
        if number < 0 { throw Trouble("a negative number") }
        writer.append(littleEndian: UInt64(number))
        writer.append(zeros: bytes)
    }

    static func decodePayload(_ payload: RawSpan) throws -> Cargo {
        let number = payload.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
        return Cargo(number: Int(UInt64(littleEndian: number)), bytes: payload.byteCount - 8)
    }

    /// A handler that notes the numbers.
    static func handler(_ order: Order = Order()) -> some TaskHandler {
        ClosureHandler(Cargo.self) { task, _ in
            order.note(task.number)
            return Step.Memo(value: Int64(task.number))
        }
    }
}

extension MemoStore {
    /// How many tasks wait in stages.
    var stagedCount: UInt64 { shared.committed.withLock { $0.state.stages.values.reduce(0) { $0 + $1.count } } }

    /// The numbers of the live ``Cargo`` tasks, in the order of their ids.
    func cargo() throws -> [Int] {
        var numbers: [Int] = []
        for entry in liveTasks().runs {
            try withPayloads(of: entry.run, indexes: entry.live) { _, payload in
                numbers.append((try? Cargo.decodePayload(payload).number) ?? -1)
            }
        }
        return numbers
    }
}

extension TaskScheduler {
    /// One that does not run and takes ``Cargo``.
    static func forCargo(
        _ files: SimulatedFileSystem = SimulatedFileSystem(), _ register: (inout Registry) -> Void = { _ in }
    ) async throws -> TaskScheduler {
        try await idleScheduler(files) {
            register(&$0)
            $0.register(Cargo.handler())
        }
    }
}
