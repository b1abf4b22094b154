// SPDX-License-Identifier: Apache-2.0
import QuernStore
import Testing

@testable import Quern

@Suite struct ThreadPoolExecutorTests {
    @Test("A task whose executor gets no thread runs all the same", arguments: [true, false])
    func noThread(isRefused: Bool) async {
        let pool = ThreadPool(limit: 2) { (body) throws(StoreError) in
            if isRefused { throw StoreError(.noThread, "none") }
            try SystemThread.start(body)
        }
        let executor = ThreadPoolExecutor(pool)
        let tasks = (0..<100).map { number in
            Task(executorPreference: executor) {
                await Task.yield()
                return number
            }
        }
        var sum = 0
        for task in tasks { sum += await task.value }
        #expect(sum == 4950)
    }
}
